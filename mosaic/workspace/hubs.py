"""Room boxes: what a hub is, what it shall do, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from mosaic.workspace.hubnetwork import HubNetwork
from mosaic.workspace.names import display_name

COMMANDS = (
    "restart",
    "update-check",
    "update-install",
    "screenshot",
    "log",
    "wipe",
    "check-network",
)
"""What can be asked of an agent (docs/protocols/hub.md)."""
HOST_COMMANDS = frozenset({"screenshot"})
"""What a host may ask of a hub in the room; the others need an administrator."""
LAYOUTS = ("auto", "board", "people", "screen")
HUBS = "hubs"
"""In front of the domain: where hubs are contacts, each by its Hub ID."""
ACCOUNT_PREFIX = "hub-"
"""In front of the Hub ID: the account by which an agent logs in over XMPP."""


class Doing(StrEnum):
    """What a hub is doing."""

    IDLE = "idle"
    MEETING = "in a meeting"
    PRESENTING = "presenting"
    UPDATING = "updating"
    OFFLINE = "offline"


REPORTED = {
    "idle": Doing.IDLE,
    "meeting": Doing.MEETING,
    "presenting": Doing.PRESENTING,
    "updating": Doing.UPDATING,
}
"""The word of an agent's status to what the others see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState:
    """A hub as others see it. id: stands in its address; name: is shown."""

    id: str
    name: str
    doing: Doing


class HubSource(Protocol):
    """Whoever knows the hubs."""

    def states(self) -> Iterable[HubState]:
        """Every enrolled hub, offline ones too."""

    def listen(
        self,
        changed: Callable[[HubState], None],
        gone: Callable[[HubState], None] = lambda state: None,
    ) -> None:
        """Be told of each change; a hub that was not there before is one. gone:
        told of a hub that was removed, with the state "offline"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What a hub shall do: a state, not an order.

    room: a Hub ID, or None for idle. sent: whether somebody with the right to
    do so sent it there; False if it came by a PIN. volume: 0-100. locale: a
    language tag.
    """

    room: str | None = None
    sent: bool = True
    volume: int = 60
    muted: bool = False
    screen_on: bool = True
    layout: str = "auto"
    locale: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When updates may be installed: the hub's local time, "HH:MM"."""

    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePolicy:
    """Which releases a hub takes. window: None for on demand alone."""

    channel: str = "stable"
    window: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """One meeting of the room's calendar. start, end: Unix seconds. room and pin:
    from the link in it, if there is one."""

    start: float
    end: float
    title: str
    room: str | None = None
    pin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """An enrolled room box. It owns the room of the same Hub ID.

    public_key: Ed25519, 32 octets. code: digest of the activation code that it
    came by. seq: grows with whatever its feed shows. last_seen: 0 for never.
    network: its latest check, None before the first.
    """

    hub_id: str
    name: str
    public_key: bytes
    code: bytes
    enrolled_at: float
    version: str = ""
    platform: str = ""
    desired: Desired = Desired()
    update: UpdatePolicy = UpdatePolicy()
    calendar_url: str | None = None
    calendar: tuple[CalendarEntry, ...] = ()
    seq: int = 1
    last_seen: float = 0.0
    network: HubNetwork | None = None


def with_seq(before: Hub, after: Hub, *, touch: bool = False) -> Hub:
    """A changed hub with what stays as it was, and with the next seq if its feed
    shows anything else than before, or if told to (touch)."""
    news = touch or _shown(before) != _shown(after)
    return replace(
        after,
        hub_id=before.hub_id,
        public_key=before.public_key,
        code=before.code,
        enrolled_at=before.enrolled_at,
        seq=before.seq + news,
    )


def _shown(hub: Hub) -> tuple[object, ...]:
    return (hub.name, hub.desired, hub.update, hub.calendar_url, hub.calendar)


class Outcome(StrEnum):
    """How far a command is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubCommand:
    """Something that an agent is asked to do once.

    id: 32 hex digits. arguments: JSON text of an object. by: who asked.
    media_type, size_bytes: of the file that came with the answer, if one did.
    """

    id: str
    hub_id: str
    command: str
    by: str
    at: float
    arguments: str = "{}"
    state: Outcome = Outcome.WAITING
    detail: str = ""
    media_type: str | None = None
    size_bytes: int = 0


def hub_name(text: str) -> str:
    """A hub's shown name: what a person's must be. Raises ValueError."""
    return display_name(text)


def hub_account(hub_id: str) -> str:
    """The XMPP account of a hub's agent."""
    return ACCOUNT_PREFIX + hub_id


def hub_of_account(account: str) -> str | None:
    """The Hub ID in the form of such an account, None for all others."""
    digits = account.removeprefix(ACCOUNT_PREFIX)
    if digits == account or len(digits) != 9:
        return None
    return digits if digits.isascii() and digits.isdigit() else None
