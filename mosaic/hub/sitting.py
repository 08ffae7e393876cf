"""How the hub gets into a room: by a participant of its own, or by its screens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mosaic.hub.calls import CallRefused
from mosaic.hub.participant import Participant, RoomPass, Seat
from mosaic.hub.server import HubUnknown, Server
from mosaic.wire.hops import HopError

_log = Logger()

ROOM_GONE = frozenset({403, 404, 423})
"""What the server answers for a room that nobody gets into."""

LEAST_REFRESH_S = 30.0


class Sitter(Protocol):
    """Sits in one room at a time."""

    async def enter(self, hub_id: str, room: str) -> None:
        """Get in. Raises HopError, CallRefused and HubUnknown."""

    async def leave(self) -> None:
        """Get out and keep nothing."""


class HeadlessSitter:
    """Brings a participant its passes. told: room and how it goes there."""

    def __init__(
        self,
        reactor: Any,
        server: Server,
        make: Callable[[Callable[[Seat], None]], Participant],
        told: Callable[[str, Seat], None],
    ) -> None:
        self._reactor = reactor
        self._server = server
        self._participant = make(self._heard)
        self._told = told
        self._room: str | None = None
        self._timer: IDelayedCall | None = None

    async def enter(self, hub_id: str, room: str) -> None:
        """A pass, the relays, and in."""
        self._room = room
        try:
            given = await self._server.room_pass(hub_id)
        except CallRefused as error:
            state = "out" if error.status in ROOM_GONE else "ended"
            self._say(room, Seat(state=state, problem=str(error)))
            return
        if given.room != room or self._room != room:
            # The next feed says where to go instead.
            self._say(room, Seat(state="ended"))
            return
        try:
            ice = await self._server.ice_servers(given)
        except CallRefused as error:
            _log.warn("no relays: {reason}", reason=str(error))
            ice = ()
        if self._room == room:
            self._refresh_in_time(hub_id, given)
            await self._participant.join(given, ice)

    async def leave(self) -> None:
        """Get up."""
        self._room = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        await self._participant.leave()

    def _heard(self, seat: Seat) -> None:
        if self._room is not None:
            self._say(self._room, seat)

    def _say(self, room: str, seat: Seat) -> None:
        if room == self._room:
            self._told(room, seat)

    def _refresh_in_time(self, hub_id: str, given: RoomPass) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if given.expires_at is None:
            return
        left_s = given.expires_at - self._server.now()
        self._timer = self._reactor.callLater(
            max(LEAST_REFRESH_S, left_s * 2 / 3), self._refresh, hub_id, given
        )

    def _refresh(self, hub_id: str, old: RoomPass) -> None:
        async def work() -> None:
            try:
                given = await self._server.room_pass(hub_id, held=old.token)
            except (HopError, CallRefused, HubUnknown, CancelledError) as error:
                # The old one ends the seat, and then a new one is asked for.
                _log.info("no newer pass: {reason}", reason=str(error))
                return
            if given.room == old.room == self._room:
                self._participant.refresh(given)
                self._refresh_in_time(hub_id, given)

        Deferred.fromCoroutine(work())
