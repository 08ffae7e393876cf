"""Rooms: making, showing, changing, closing, and their standing members."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus, Payload
from mosaic.services.rest.documents import (
    Member,
    Members,
    Membership,
    NewRoom,
    RoomPatch,
    Rooms,
    RoomView,
)
from mosaic.services.rest.operations import Call, Operation, Who
from mosaic.services.rest.rules import checked
from mosaic.services.rest.users import path_account
from mosaic.store.interface import Store
from mosaic.workspace.ids import new_pin
from mosaic.workspace.model import Role, Room
from mosaic.workspace.names import room_alias, room_name


class JoinUrl(Protocol):
    """Makes the address that people open to join a room."""

    def __call__(self, hub_id: str, pin: str | None = None) -> str:
        """The PIN goes into the fragment, so that no server ever logs it."""


class RoomOperations:
    """Operations on rooms and their members.

    now: Unix seconds.
    """

    def __init__(
        self,
        *,
        door: Door,
        store: Store,
        bus: Bus,
        join_url: JoinUrl,
        now: Callable[[], float],
    ) -> None:
        self._door = door
        self._store = store
        self._bus = bus
        self._join_url = join_url
        self._now = now

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (*self._collection(), *self._one(), *self._memberships())

    def _collection(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="listRooms",
                method="GET",
                path="/rooms",
                summary="List rooms: all for an administrator, else one's own",
                tag="rooms",
                who=Who.SESSION,
                run=self.list,
                answer=Rooms,
            ),
            Operation(
                id="createRoom",
                method="POST",
                path="/rooms",
                summary="Make a room with a random Hub ID and PIN",
                tag="rooms",
                who=Who.SESSION,
                run=self.create,
                body=NewRoom,
                answer=RoomView,
                status=201,
                refusals=(409,),
            ),
        )

    def _one(self) -> tuple[Operation, ...]:
        def change(id: str, verb: str, summary: str) -> Operation:
            return Operation(
                id=id,
                method="POST",
                path=f"/rooms/{{hub_id}}/{verb}",
                summary=summary,
                tag="rooms",
                who=Who.HOST,
                run={"close": self.close, "reopen": self.reopen, "pin": self.rotate}[
                    verb
                ],
                answer=RoomView,
            )

        return (
            Operation(
                id="showRoom",
                method="GET",
                path="/rooms/{hub_id}",
                summary="Show a room; the PIN only to hosts",
                tag="rooms",
                who=Who.IN_ROOM,
                run=self.show,
                answer=RoomView,
            ),
            Operation(
                id="changeRoom",
                method="PATCH",
                path="/rooms/{hub_id}",
                summary="Rename, lock, moderate, open or close the lobby",
                tag="rooms",
                who=Who.HOST,
                run=self.change,
                body=RoomPatch,
                answer=RoomView,
            ),
            change("closeRoom", "close", "Close the room; its contents are kept"),
            change("reopenRoom", "reopen", "Open a closed room again"),
            change("rotatePin", "pin", "Give the room a new PIN"),
        )

    def _memberships(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="listMembers",
                method="GET",
                path="/rooms/{hub_id}/members",
                summary="List the accounts with a standing role",
                tag="rooms",
                who=Who.HOST,
                run=self.members,
                answer=Members,
            ),
            Operation(
                id="setMember",
                method="PUT",
                path="/rooms/{hub_id}/members/{account}",
                summary="Give an account a standing role",
                tag="rooms",
                who=Who.HOST,
                run=self.set_member,
                body=Membership,
                status=204,
            ),
            Operation(
                id="removeMember",
                method="DELETE",
                path="/rooms/{hub_id}/members/{account}",
                summary="Take an account's standing role",
                tag="rooms",
                who=Who.HOST,
                run=self.remove_member,
                status=204,
            ),
        )

    async def list(self, call: Call, body: None) -> Rooms:
        """Every room that the caller may see."""
        who = call.caller.known
        rooms = await self._store.rooms(member=None if who.admin else who.account)
        views = []
        for room in rooms:
            role = await self._door.role_in(who, room.hub_id)
            views.append(self._view(room, with_pin=role is Role.HOST))
        return Rooms(rooms=views)

    async def create(self, call: Call, body: NewRoom) -> RoomView:
        """Make one that belongs to the caller."""
        name = checked(room_name, body.name, field="name")
        alias = None
        if body.alias is not None:
            alias = checked(room_alias, body.alias, field="alias")
        room = await self._door.create_room(
            name, owner=call.caller.known.account, alias=alias
        )
        return self._view(room, with_pin=True)

    async def show(self, call: Call, body: None) -> RoomView:
        """One room."""
        room = await self._store.room(call.path["hub_id"])
        return self._view(room, with_pin=call.caller.role is Role.HOST)

    async def change(self, call: Call, body: RoomPatch) -> RoomView:
        """Write what is given; the people inside hear of it."""
        room = await self._store.room(call.path["hub_id"])
        if body.name is not None:
            room = replace(room, name=checked(room_name, body.name, field="name"))
        if body.locked is not None:
            room = replace(room, locked=body.locked)
        if body.lobby is not None:
            room = replace(room, lobby=body.lobby)
        if body.moderated is not None:
            room = replace(room, moderated=body.moderated)
        return await self._write(room, "updated")

    async def close(self, call: Call, body: None) -> RoomView:
        """Close; closing twice keeps the first time."""
        room = await self._store.room(call.path["hub_id"])
        if room.closed_at is None:
            room = replace(room, closed_at=self._now())
        return await self._write(room, "closed")

    async def reopen(self, call: Call, body: None) -> RoomView:
        """Open again."""
        room = await self._store.room(call.path["hub_id"])
        return await self._write(replace(room, closed_at=None), "reopened")

    async def rotate(self, call: Call, body: None) -> RoomView:
        """A new PIN; who is inside stays."""
        room = await self._store.room(call.path["hub_id"])
        return await self._write(replace(room, pin=new_pin(secrets.randbelow)), "pin")

    async def members(self, call: Call, body: None) -> Members:
        """Accounts with a role, by name."""
        hub_id = call.path["hub_id"]
        await self._store.room(hub_id)
        roles = await self._store.members(hub_id)
        return Members(
            members=[Member(account=name, role=roles[name]) for name in sorted(roles)]
        )

    async def set_member(self, call: Call, body: Membership) -> None:
        """Give a role."""
        await self._set_member(call, body.role)

    async def remove_member(self, call: Call, body: None) -> None:
        """Take a role."""
        await self._set_member(call, None)

    async def _set_member(self, call: Call, role: Role | None) -> None:
        hub_id = call.path["hub_id"]
        await self._store.room(hub_id)
        account = path_account(call.path["account"])
        await self._store.account(account)
        await self._store.set_member(hub_id, account, role)
        news: Payload = {"type": "member", "account": account}
        self._bus.publish(f"room.{hub_id}.people", news)

    async def _write(self, room: Room, kind: str) -> RoomView:
        await self._store.update_room(room)
        self._bus.publish(f"room.{room.hub_id}", {"type": kind})
        return self._view(room, with_pin=True)

    def own_view(self, room: Room) -> RoomView:
        """A room as its hosts see it."""
        return self._view(room, with_pin=True)

    def _view(self, room: Room, *, with_pin: bool) -> RoomView:
        pin = room.pin if with_pin else None
        return RoomView(
            hub_id=room.hub_id,
            name=room.name,
            pin=pin,
            join_url=self._join_url(room.hub_id, pin),
            alias=room.alias,
            locked=room.locked,
            lobby=room.lobby,
            moderated=room.moderated,
            owner=room.owner,
            created_at=room.created_at,
            closed_at=room.closed_at,
        )
