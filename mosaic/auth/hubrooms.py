"""Where a hub is: the room that it shall be in, and its tokens for it."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.auth.huberrors import HubIdle, WrongPin
from mosaic.auth.hubfleet import Fleet, Live
from mosaic.auth.interface import InvalidToken, Issued, RoomUnavailable
from mosaic.auth.issue import TokenDesk
from mosaic.auth.rooms import RoomDesk
from mosaic.auth.tries import ROOM, Tries
from mosaic.bus.interface import Bus, Payload, Subscription
from mosaic.store.hubs import HubSeat
from mosaic.store.interface import NotFound, Store
from mosaic.workspace.hubs import Desired, Hub
from mosaic.workspace.ids import parse_pin
from mosaic.workspace.model import Role, Room

MAX_SEATS = 16
"""Tokens of one hub at a time: its agent and its screens, and after a fall again."""
_TRIES_FROM = "hub "
"""Wrong PINs count for the hub, not for the network that it stands in."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class Seated:
    """A hub's token for the room that it is in."""

    room: Room
    issued: Issued


class HubRooms:
    """Sends hubs into rooms and out of them.

    token_ttl_s: of a room token. wall: Unix seconds now.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        fleet: Fleet,
        tokens: TokenDesk,
        rooms: RoomDesk,
        tries: Tries,
        *,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._bus = bus
        self._fleet = fleet
        self._tokens = tokens
        self._rooms = rooms
        self._tries = tries
        self._wall = wall
        self._hearing: list[Subscription] = []

    def start(self) -> None:
        """Hear of rooms that end, and of hubs that are put out."""
        self._hearing = [self._bus.subscribe("room.*", self._room_news)]

    def stop(self) -> None:
        """Hear no more."""
        while self._hearing:
            self._hearing.pop().cancel()

    # Where it shall be ----------------------------------------------------
    async def want(self, hub_id: str, change: Callable[[Hub], Hub]) -> Hub:
        """Change a hub; tokens of a room that it leaves end. Raises NotFound."""
        hub = await self._store.change_hub(hub_id, change)
        self._fleet.changed(hub)
        await self._vacate(hub_id, keep=hub.desired.room)
        return hub

    async def go(self, live: Live, room: str | None, *, pin: str | None) -> None:
        """Where it wants to be itself: out, its own room, or one by its PIN.

        Without a PIN, that of the calendar's entry for the room. Raises WrongPin,
        TryLater, RoomUnavailable.
        """
        if room is not None and room != live.hub.desired.room:
            await self._check(live.hub, room, pin)
        own = room is None or room == live.hub.hub_id

        def change(hub: Hub) -> Hub:
            if room == hub.desired.room:
                return hub
            return replace(hub, desired=replace(hub.desired, room=room, sent=own))

        await self.want(live.hub.hub_id, change)

    async def _check(self, hub: Hub, room: str, pin: str | None) -> None:
        if room == hub.hub_id:
            return
        if pin is None:
            known = [e.pin for e in hub.calendar if e.room == room and e.pin]
            pin = known[0] if known else None
        origin = _TRIES_FROM + hub.hub_id
        async with self._tries.turn(account=ROOM + room, address=origin):
            try:
                found = await self._store.room(room)
                fits = hmac.compare_digest(found.pin, parse_pin(pin or ""))
            except (NotFound, ValueError):
                fits = False
            if not fits:
                self._tries.note_failure(account=ROOM + room, address=origin)
                raise WrongPin
            self._tries.note_success(account=ROOM + room, address=origin)
        if found.closed_at is not None:
            raise RoomUnavailable("closed")
        if found.locked:
            raise RoomUnavailable("locked")

    # Its tokens -----------------------------------------------------------
    async def token(self, live: Live, *, held: str | None = None) -> Seated:
        """A token for the room where it shall be. Raises HubIdle,
        RoomUnavailable, NotFound when it is removed meanwhile.

        held: the one that it has; it lives on, if it is for that room.
        """
        desired = live.hub.desired
        if desired.room is None:
            raise HubIdle
        room = await self._store.room(desired.room)
        if room.closed_at is not None:
            raise RoomUnavailable("closed")
        kept = None if held is None else await self._prolonged(live, room, held)
        if kept is not None:
            return Seated(room, kept)
        role, waiting = _standing(live.hub, desired, room)
        issued = await self._tokens.room(
            room.hub_id,
            name=live.hub.name,
            account=None,
            role=role,
            waiting=waiting,
            hub=live.hub.hub_id,
        )
        who = issued.principal
        seat = HubSeat(
            participant_id=who.participant_id,
            hub_id=live.hub.hub_id,
            room=room.hub_id,
            created_at=self._wall(),
            expires_at=who.expires_at,
        )
        try:
            await self._store.add_hub_seat(seat)
        except BaseException:
            await self._tokens.revoke(issued.token)
            raise
        if live.hub.desired.room != room.hub_id:
            await self._end(seat)
            raise HubIdle
        if waiting:
            self._rooms.tell_waiting(room.hub_id, who)
        await self._make_place(live.hub.hub_id)
        return Seated(room, issued)

    async def _prolonged(self, live: Live, room: Room, token: str) -> Issued | None:
        """Who sits there goes on sitting; None if it is not this hub's seat there."""
        try:
            who = await self._tokens.principal(token)
            if (who.hub, who.hub_id) != (live.hub.hub_id, room.hub_id):
                return None
            expires_at = await self._tokens.prolong(token)
            await self._store.prolong_hub_seat(who.participant_id, expires_at)
        except (InvalidToken, NotFound):
            return None
        return Issued(token=token, principal=replace(who, expires_at=expires_at))

    async def _make_place(self, hub_id: str) -> None:
        seats = await self._store.hub_seats(hub_id)
        for seat in seats[:-MAX_SEATS]:
            await self._end(seat)

    async def _vacate(self, hub_id: str, *, keep: str | None) -> None:
        for seat in await self._store.hub_seats(hub_id):
            if seat.room != keep:
                await self._end(seat)

    async def _end(self, seat: HubSeat) -> None:
        # The seat first: who is put out by us is not put out by the room's host.
        await self._store.remove_hub_seat(seat.participant_id)
        await self._put_out(seat)

    async def _put_out(self, seat: HubSeat) -> None:
        try:
            await self._rooms.kick(seat.room, seat.participant_id)
        except NotFound:
            return  # the token had gone already

    # Its end --------------------------------------------------------------
    async def remove(self, hub_id: str) -> None:
        """The hub goes, and everything that it could come in by; its room stays.

        Raises NotFound.
        """
        seats = await self._store.hub_seats(hub_id)
        await self._store.remove_hub(hub_id)
        self._fleet.removed(hub_id)
        for seat in seats:
            await self._put_out(seat)

    async def forget_expired(self) -> int:
        """Remove seats whose tokens are over; how many."""
        return await self._store.remove_hub_seats(expired_before=self._wall())

    # What rooms tell ------------------------------------------------------
    def _room_news(self, topic: str, payload: Payload) -> None:
        kind = payload.get("type")
        if kind == "kicked":
            work = self._kicked(str(payload.get("participant_id")))
        elif kind in ("closed", "pin"):
            work = self._room_changed(topic.split(".")[1], str(kind))
        else:
            return
        Deferred.fromCoroutine(work).addErrback(
            lambda failure: _log.failure("a hub could not follow its room", failure)
        )

    async def _kicked(self, participant_id: str) -> None:
        """By somebody else than us: the hub is to stay out."""
        seat = await self._store.hub_seat(participant_id)
        if seat is None:
            return
        await self._store.remove_hub_seat(participant_id)
        await self._leave(seat.hub_id, seat.room)

    async def _room_changed(self, room: str, kind: str) -> None:
        if kind == "closed":
            for live in self._fleet.every():
                if live.hub.desired.room == room:
                    await self._leave(live.hub.hub_id, room)
        elif self._fleet.get(room) is not None:
            # Its wall shows the PIN.
            hub = await self._store.change_hub(room, lambda same: same, touch=True)
            self._fleet.changed(hub)

    async def _leave(self, hub_id: str, room: str) -> None:
        def change(hub: Hub) -> Hub:
            if hub.desired.room != room:
                return hub
            return replace(hub, desired=replace(hub.desired, room=None, sent=True))

        try:
            await self.want(hub_id, change)
        except NotFound:
            return  # removed meanwhile


def _standing(hub: Hub, desired: Desired, room: Room) -> tuple[Role, bool]:
    """As what it comes in, and whether it waits in the lobby."""
    if room.hub_id == hub.hub_id:
        return Role.HOST, False
    if desired.sent:
        return Role.EDITOR, False
    return (Role.VIEWER if room.moderated else Role.EDITOR), room.lobby
