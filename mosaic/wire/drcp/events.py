"""What a client asked for, whichever door it came through.

channel: a number on `/drcp`, the address on `/hocuspocus`, "" on `/y`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Channel = int | str
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message on `/drcp`.

    resume: (sid, last_seq) or None. caps: those that this server knows too.
    """

    token: str
    client: str
    resume: tuple[str, int] | None
    caps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Hocuspocus: a token for one document address."""

    channel: str
    token: str


@dataclass(frozen=True, slots=True)
class Open:
    """Open a document on a channel; state_vector says what is known already."""

    channel: Channel
    name: str
    state_vector: bytes


@dataclass(frozen=True, slots=True)
class StateVector:
    """Sync step 1. reply: answer without a step 1 of our own."""

    channel: Channel
    state_vector: bytes
    reply: bool = False


# Every keystroke and pointer move makes one of the next two: frozen ones take
# three times as long to make.
@dataclass(slots=True)
class Update:
    """A change; answer: it came as sync step 2."""

    channel: Channel
    update: bytes
    answer: bool


@dataclass(slots=True)
class Awareness:
    """An awareness update (y-protocols)."""

    channel: Channel
    data: bytes


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """Everybody's awareness state is wanted."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Stateless:
    """A text for the server, or (broadcast) for everybody on the document."""

    channel: Channel
    text: str
    broadcast: bool


@dataclass(frozen=True, slots=True)
class Close:
    """The client closes a channel."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered by a pong on the same channel (None: without one)."""

    channel: Channel | None


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """chat, state or reaction."""

    type: str
    data: Json


@dataclass(frozen=True, slots=True)
class Rpc:
    """A call."""

    id: int | str
    method: str
    params: Json


@dataclass(frozen=True, slots=True)
class Signal:
    """Something for one other participant."""

    to: str
    data: Any


@dataclass(frozen=True, slots=True)
class Refresh:
    """A newer token for the same participant."""

    token: str


@dataclass(frozen=True, slots=True)
class Violation:
    """The peer broke the protocol. channel: None ends the connection."""

    code: int
    message: str
    channel: Channel | None = None


Event = (
    Hello
    | Authenticate
    | Open
    | StateVector
    | Update
    | Awareness
    | QueryAwareness
    | Stateless
    | Close
    | Ping
    | RoomEvent
    | Rpc
    | Signal
    | Refresh
    | Violation
)
