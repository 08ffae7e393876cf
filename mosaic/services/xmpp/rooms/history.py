"""What was said before somebody came (XEP-0045 section 7.2.13)."""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import dataclass

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.nicks import nick_of
from mosaic.services.xmpp.rooms.render import (
    Cast,
    address,
    delay,
    entry_extra,
    entry_opened,
    for_each_address,
    halves,
)
from mosaic.store.interface import Store
from mosaic.wire.xmpp.pieces import Opened
from mosaic.wire.xmpp.xml import Node, Xml, element
from mosaic.workspace.archive import Entry, Kind, Span, Subject

DEFAULT_STANZAS = 20
MAX_STANZAS = 500

_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How much of the past. None: no limit of that kind. since: Unix seconds."""

    max_stanzas: int = DEFAULT_STANZAS
    max_chars: int | None = None
    seconds: float | None = None
    since: float | None = None


def read_stamp(text: str) -> float:
    """XEP-0082 to Unix seconds. Raises ValueError."""
    found = _STAMP.match(text)
    if found is None:
        raise ValueError("not a time")
    *date, fraction, zone = found.groups()
    try:
        time.strptime("".join(date), "%Y%m%d%H%M%S")
        at = calendar.timegm((*map(int, date), 0, 0, 0))
    except (ValueError, OverflowError) as error:
        raise ValueError("not a time") from error
    offset = 0
    if zone != "Z":
        hours, minutes = zone[1:].split(":")
        offset = (int(hours) * 60 + int(minutes)) * 60 * (-1 if zone[0] == "-" else 1)
    return at - offset + float(fraction or 0)


def read_wanted(history: Node | None) -> Wanted:
    """The `<history/>` of a join. Raises Undeliverable (bad-request)."""
    if history is None:
        return Wanted()
    said = history.attributes
    try:
        numbers = {
            key: _number(said[key])
            for key in ("maxstanzas", "maxchars", "seconds")
            if key in said
        }
        since = read_stamp(said["since"]) if "since" in said else None
    except ValueError as error:
        raise Undeliverable("bad-request", text="history: " + str(error)) from None
    limited = bool(numbers) or since is not None
    default = MAX_STANZAS if limited else DEFAULT_STANZAS
    return Wanted(
        max_stanzas=min(numbers.get("maxstanzas", default), MAX_STANZAS),
        max_chars=numbers.get("maxchars"),
        seconds=numbers.get("seconds"),
        since=since,
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("not a number")
    return int(text)


async def wanted_entries(
    store: Store, hub_id: str, wanted: Wanted, *, now: float
) -> list[Entry]:
    """The entries that fit into all the limits, oldest first."""
    if wanted.max_stanzas == 0 or wanted.max_chars == 0:
        return []
    starts = [] if wanted.since is None else [wanted.since]
    if wanted.seconds is not None:
        starts.append(now - wanted.seconds)
    span = Span(start=max(starts, default=None), limit=wanted.max_stanzas, newest=True)
    found = [
        e for e in await store.room_archive(hub_id, span) if e.kind is not Kind.OTHER
    ]
    if wanted.max_chars is None:
        return found
    kept: list[Entry] = []
    left = wanted.max_chars
    for entry in reversed(found):
        left -= len(entry_opened(entry).whole())
        if left < 0:
            break
        kept.insert(0, entry)
    return kept


def entry_cast(muc: Muc, entry: Entry, *, delayed: bool = False) -> Cast:
    """An entry of the archive, as it is sent to occupants.

    delayed: it is history. A line that was taken back is a tombstone.
    """
    host = muc.front.host
    opened = entry_opened(entry)
    if entry.retracted_at is not None:
        opened = Opened(b"message", opened.attributes, b"")
    author = muc.people.by_id.get(entry.author_id)
    nick = nick_of(entry.author) if author is None else author.nick
    identity = entry.occupant_id or muc.occupant_id(entry.author_id)
    if entry.kind is Kind.RETRACTION and not entry.author_id:
        nick = ""

    def make(via: str) -> tuple[bytes, bytes]:
        extra = entry_extra(entry, via, host, identity)
        if delayed:
            extra.append(delay(entry.at, address(via, host)))
        return halves(opened, address(via, host, nick), *extra)

    return for_each_address(make)


def subject_opened(subject: Subject) -> Opened:
    """The subject as a message (XEP-0045 section 7.2.15), also if it is empty."""
    text: Xml = element("subject", None, subject.subject)
    return Opened(b"message", b' type="groupchat"', text.encode())
