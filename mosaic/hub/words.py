"""What the hub's machine hears (events) and says (actions)."""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.hub.feed import Command, Desired, Feed
from mosaic.hub.memory import Memory, Result


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The server took us, and gave us a Hub ID."""

    hub_id: str
    name: str


@dataclass(frozen=True, slots=True)
class FeedRead:
    """The server was reached and said this."""

    feed: Feed


@dataclass(frozen=True, slots=True)
class ServerLost:
    """It cannot be reached, or does not answer as it should."""

    problem: str


@dataclass(frozen=True, slots=True)
class HubRemoved:
    """The server does not know us any more."""


@dataclass(frozen=True, slots=True)
class SeatChanged:
    """How it goes in a room (participant.Seat)."""

    room: str
    state: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A command was carried out, or was not."""

    id: str
    result: Result


@dataclass(frozen=True, slots=True)
class UpdateRuns:
    """An update is being installed, or is not any more."""

    running: bool


@dataclass(frozen=True, slots=True)
class EntryBegins:
    """A calendar entry with a room begins. key: tells it from all others."""

    key: str
    room: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that next_deadline() named has come."""


Event = (
    Enrolled
    | FeedRead
    | ServerLost
    | HubRemoved
    | SeatChanged
    | CommandEnded
    | UpdateRuns
    | EntryBegins
    | Tick
)


@dataclass(frozen=True, slots=True)
class Save:
    """Keep this, durably, before what follows."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class Enter:
    """Get a pass for the room and sit down in it."""

    room: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Get up and keep nothing of the meeting."""

    room: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the server for another `desired.room`."""

    room: str | None


@dataclass(frozen=True, slots=True)
class Show:
    """Sound, light and layout as wanted."""

    desired: Desired


@dataclass(frozen=True, slots=True)
class Execute:
    """Carry the command out, and say CommandEnded."""

    command: Command


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell the server how a command went."""

    id: str
    result: Result


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the server what we do."""


@dataclass(frozen=True, slots=True)
class Forget:
    """We are removed: end streams, drop tokens, wipe what meetings left."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Begin anew, once the answers are out."""


Action = (
    Save | Enter | Leave | Ask | Show | Execute | Answer | Report | Forget | Restart
)
