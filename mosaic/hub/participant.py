"""Whoever sits in the meeting for the hub: a seat without a screen, or a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MEETING, PRESENTING = "meeting", "presenting"
"""What a wall draws: a meeting, and in it what somebody presents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPass:
    """What lets the hub into one room.

    room: its Hub ID. token: a room token. role: host, editor or viewer. url: the
    DRCP door, wss://host[:port]/drcp. expires_at: Unix seconds; the agent brings
    a newer one (Participant.refresh) in time.
    """

    room: str
    token: str
    role: str
    url: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"RoomPass(room={self.room!r}, role={self.role!r}, url={self.url!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """As WebRTC's RTCIceServer: stun:, turn: and turns: URLs with one login."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:
        return f"IceServer(urls={self.urls!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """How it goes in the room, told each time it changes.

    state: "joining", "live" (in the meeting), "presenting" (live, and sending a
    screen; of a wall: showing one), "offline" (the connection is gone; it comes
    back by itself), "ended" (it does not; with a new pass it would: close code
    4401 or 4409) or "out" (the room does not want it: removed by a host, closed;
    4403, 4404, 4423). problem:
    one line for people, where something is wrong.
    """

    state: str
    problem: str | None = None


Told = Callable[[Seat], None]


class Participant(Protocol):
    """Takes part in one meeting at a time.

    A headless hub with media is made by `mosaic.hub.media.participant(reactor,
    dialler, told)`; without that package `mosaic.hub.seat.DrcpParticipant`
    sits there and says nothing. `told` is called in the reactor's thread.
    """

    async def join(self, room: RoomPass, ice_servers: Sequence[IceServer]) -> None:
        """Go in, and stay in until leave(): connections that are lost are made
        again. Returns once the first attempt is under way; `told` says how it
        went. Called again with another room, it leaves the first."""

    def refresh(self, room: RoomPass) -> None:
        """A newer pass of the same room, to be used from now on."""

    async def leave(self) -> None:
        """Out of the meeting; nothing of it is kept. Safe to call twice."""
