"""What the server says a hub shall do (docs/protocols/hub.md, "the feed")."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field


class HubFacts(Struct, frozen=True, kw_only=True):
    """What the wall shows of the hub itself."""

    hub_id: str
    name: str = ""
    pin: str = ""
    join_url: str = ""
    join_host: str = ""


class Desired(Struct, frozen=True, kw_only=True):
    """A state, not an order. room: a Hub ID, or None for idle. volume: 0-100.
    screen_on: False shows black. layout: auto, board, people or screen."""

    room: str | None = None
    volume: int = 60
    muted: bool = False
    screen_on: bool = True
    layout: str = "auto"
    locale: str = "en"


class Command(Struct, frozen=True, kw_only=True):
    """One thing to do once: restart, update-check, update-install, screenshot,
    log, wipe or check-network."""

    id: str
    command: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Entry(Struct, frozen=True, kw_only=True):
    """One event of the room's calendar; times in Unix seconds. room: the Hub ID
    to join, where the event names one."""

    start: float
    end: float
    title: str = ""
    room: str | None = None


class Window(Struct, frozen=True, kw_only=True):
    """A part of the day in the hub's local time, `02:00` to `05:00`."""

    start: str
    end: str


class UpdateWish(Struct, frozen=True, kw_only=True):
    """Which releases, and when they may be installed unasked."""

    channel: str = "stable"
    window: Window | None = None


class Feed(Struct, frozen=True, kw_only=True):
    """One answer. seq: of the newest change that is in it. report: the server
    has no status of this hub yet."""

    seq: int
    hub: HubFacts
    desired: Desired = Desired()
    commands: tuple[Command, ...] = ()
    calendar: tuple[Entry, ...] = ()
    calendar_url: str | None = None
    report: bool = False
    update: UpdateWish = UpdateWish()


class FeedError(ValueError):
    """An answer that is no feed; the text says where."""


_decoder = msgspec.json.Decoder(Feed)


def read_feed(content: bytes) -> Feed:
    """A feed from JSON; fields that are not known here are passed over.

    Raises FeedError.
    """
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FeedError(f"the server's feed cannot be read: {error}") from None
