"""Hubs as people command them: codes, the list, what each shall do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from mosaic.auth.hubfleet import Live
from mosaic.auth.hubs import HubDesk
from mosaic.auth.interface import Door, Forbidden, RoomUnavailable
from mosaic.services.rest.hubdocuments import (
    HubCodes,
    HubCodeView,
    HubPatch,
    HubsView,
    HubView,
    MadeHubCode,
    NetworkDetails,
    NewHubCode,
    UpdatePatch,
)
from mosaic.services.rest.hubviews import hub_view, network_details
from mosaic.services.rest.operations import Call, Operation, Who
from mosaic.services.rest.rules import checked, shown_as_422
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.hubcodes import HubCode, format_code
from mosaic.workspace.hubs import Hub, UpdatePolicy, Window, hub_name
from mosaic.workspace.model import Principal, Role


class HubRights:
    """Who may command which hub: administrators, and hosts of the room that it
    owns or is in."""

    def __init__(self, *, door: Door, hubs: HubDesk) -> None:
        self._door = door
        self._hubs = hubs

    async def commanded(self, call: Call) -> Live:
        """The hub of the path. Raises NotFound for those who may not know of it."""
        live = self._hubs.fleet.get(call.path["hub_id"])
        if live is None or not await self.commands(call.caller.known, live):
            raise NotFound("there is no such hub")
        return live

    async def commands(self, who: Principal, live: Live) -> bool:
        """Whether somebody may command a hub."""
        if is_administrator(who):
            return True
        for room in {live.hub.hub_id, live.hub.desired.room or ""}:
            if room and await self.hosts(who, room):
                return True
        return False

    async def hosts(self, who: Principal, room: str) -> bool:
        """Whether somebody is host of a room."""
        return await self._door.role_in(who, room) is Role.HOST


def is_administrator(who: Principal) -> bool:
    """By a session: a room token carries no such right."""
    return who.admin and who.hub_id is None


class HubOperations:
    """Operations of people on hubs and activation codes."""

    def __init__(
        self, *, door: Door, hubs: HubDesk, store: Store, rights: HubRights
    ) -> None:
        self._door = door
        self._hubs = hubs
        self._store = store
        self._rights = rights

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (*self._codes(), *self._table())

    def _codes(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="listHubCodes",
                method="GET",
                path="/hub-codes",
                summary="List the activation codes",
                tag="hubs",
                who=Who.ADMIN,
                run=self.codes,
                answer=HubCodes,
            ),
            Operation(
                id="makeHubCode",
                method="POST",
                path="/hub-codes",
                summary="Make an activation code; it is shown once",
                tag="hubs",
                who=Who.ADMIN,
                run=self.make_code,
                body=NewHubCode,
                answer=MadeHubCode,
                status=201,
            ),
            Operation(
                id="removeHubCode",
                method="DELETE",
                path="/hub-codes/{code_id}",
                summary="Let nobody come by this code any more",
                tag="hubs",
                who=Who.ADMIN,
                run=self.remove_code,
                status=204,
            ),
        )

    def _table(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="listHubs",
                method="GET",
                path="/hubs",
                summary="List the hubs that one may command",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.list,
                answer=HubsView,
            ),
            Operation(
                id="showHub",
                method="GET",
                path="/hubs/{hub_id}",
                summary="Show a hub",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.show,
                answer=HubView,
            ),
            Operation(
                id="showHubNetwork",
                method="GET",
                path="/hubs/{hub_id}/network-check",
                summary="What the hub found when it last checked its network",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.network,
                answer=NetworkDetails,
            ),
            Operation(
                id="changeHub",
                method="PATCH",
                path="/hubs/{hub_id}",
                summary="Say what a hub shall do; a host says where, and how loud",
                tag="hubs",
                who=Who.ADMITTED,
                run=self.change,
                body=HubPatch,
                answer=HubView,
                refusals=(423,),
            ),
            Operation(
                id="removeHub",
                method="DELETE",
                path="/hubs/{hub_id}",
                summary="Remove a hub at once; its room stays",
                tag="hubs",
                who=Who.ADMIN,
                run=self.remove,
                status=204,
            ),
        )

    # Codes ----------------------------------------------------------------
    async def codes(self, call: Call, body: None) -> HubCodes:
        """All of them."""
        codes = await self._store.hub_codes()
        return HubCodes(codes=[HubCodeView(**_code(one)) for one in codes])

    async def make_code(self, call: Call, body: NewHubCode) -> MadeHubCode:
        """The only sight of it."""
        with shown_as_422():
            code, text = await self._hubs.enrolment.make_code(
                name=body.name,
                uses=body.uses,
                expires_in_s=body.expires_in_s,
                by=call.caller.known.account or "",
            )
        return MadeHubCode(code=format_code(text), **_code(code))

    async def remove_code(self, call: Call, body: None) -> None:
        """Hubs that came by it stay."""
        await self._store.remove_hub_code(call.path["code_id"])

    # Hubs -----------------------------------------------------------------
    async def list(self, call: Call, body: None) -> HubsView:
        """Those that the caller may command."""
        fleet, who = self._hubs.fleet, call.caller.known
        found = fleet.every()
        if not is_administrator(who):
            mine = await self._hosted(who)
            found = [
                live
                for live in found
                if live.hub.hub_id in mine or live.hub.desired.room in mine
            ]
        return HubsView(hubs=[hub_view(fleet, live) for live in found])

    async def _hosted(self, who: Principal) -> set[str]:
        """The rooms whose host somebody is."""
        rooms = [who.hub_id]
        if who.hub_id is None:
            member = await self._store.rooms(member=who.account)
            rooms = [room.hub_id for room in member]
        return {room for room in rooms if room and await self._rights.hosts(who, room)}

    async def show(self, call: Call, body: None) -> HubView:
        """One of them."""
        return hub_view(self._hubs.fleet, await self._rights.commanded(call))

    async def network(self, call: Call, body: None) -> NetworkDetails:
        """The latest; 404 before the first."""
        live = await self._rights.commanded(call)
        if live.hub.network is None:
            raise NotFound("this hub has not checked its network yet")
        return network_details(live.hub.network)

    async def change(self, call: Call, body: HubPatch) -> HubView:
        """Write what is given."""
        live = await self._rights.commanded(call)
        who = call.caller.known
        more = (body.name, body.update, body.calendar_url)
        if not is_administrator(who) and any(part is not UNSET for part in more):
            raise Forbidden("this needs an administrator")
        name: str | UnsetType = UNSET
        if body.name is not UNSET:
            name = checked(hub_name, body.name, field="name")
        if body.desired is not UNSET and body.desired.room is not UNSET:
            await self._check_target(who, live.hub, body.desired.room)

        def change(hub: Hub) -> Hub:
            if body.desired is not UNSET:
                given = _given(body.desired)
                if "room" in given and given["room"] != hub.desired.room:
                    given["sent"] = True
                hub = replace(hub, desired=replace(hub.desired, **given))
            if body.update is not UNSET:
                hub = replace(hub, update=_updated(hub.update, body.update))
            if name is not UNSET:
                hub = replace(hub, name=name)
            if body.calendar_url is not UNSET:
                hub = replace(hub, calendar_url=body.calendar_url)
                if body.calendar_url is None:
                    hub = replace(hub, calendar=())
            return hub

        await self._hubs.rooms.want(live.hub.hub_id, change)
        return hub_view(self._hubs.fleet, live)

    async def _check_target(self, who: Principal, hub: Hub, room: str | None) -> None:
        """Where it may be sent. Raises NotFound, Forbidden, RoomUnavailable."""
        if room is None or room == hub.desired.room:
            return
        free = room == hub.hub_id or is_administrator(who)
        if not free and not await self._rights.hosts(who, room):
            raise Forbidden("this needs a host of the room where the hub is to go")
        if (await self._store.room(room)).closed_at is not None:
            raise RoomUnavailable("closed")

    async def remove(self, call: Call, body: None) -> None:
        """Whatever it has open ends."""
        await self._hubs.rooms.remove(call.path["hub_id"])


def _given(patch: Struct) -> dict[str, Any]:
    fields = {name: getattr(patch, name) for name in patch.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET}


def _updated(policy: UpdatePolicy, patch: UpdatePatch) -> UpdatePolicy:
    if patch.channel is not UNSET:
        policy = replace(policy, channel=patch.channel)
    if patch.window is not UNSET:
        window = patch.window
        kept = None if window is None else Window(start=window.start, end=window.end)
        policy = replace(policy, window=kept)
    return policy


def _code(code: HubCode) -> dict[str, Any]:
    names = ("id", "name", "uses", "uses_left", "created_at", "expires_at", "by")
    return {name: getattr(code, name) for name in names}
