"""Events of an iCalendar text (RFC 5545), as the hub reports them.

Whoever may invite the room writes into its calendar, so the text is a
stranger's: what would take long to compute is left out, and what still does is
cut off by whoever calls (see worker.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mosaic.hub.calendar.invitation import meeting_in

MAX_BYTES = 8 * 1024 * 1024
MAX_EVENTS = 20_000
MAX_ENTRIES = 100
MAX_TITLE = 300
AHEAD_S = 2 * 86400
MARGIN_S = 86400
"""Looked at on both sides: times without a zone are taken as UTC by the libraries
(and by CalDAV servers), and are up to 14 hours elsewhere."""
EARLIEST_YEAR = 2000
"""Of a rule's beginning: each occurrence since then is counted through."""

_SLOW = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
_LISTS = ("BYHOUR", "BYMINUTE", "BYSECOND")
_FOLD = re.compile(rb"\r?\n[ \t]")
_ZONE = re.compile(rb"(?ims)^BEGIN:VTIMEZONE\s*?$.*?^END:VTIMEZONE\s*?$\r?\n?")
_ZONE_BOMB = re.compile(
    rb"FREQ=(?!YEARLY)|BY(HOUR|MINUTE|SECOND|YEARDAY|WEEKNO)=|INTERVAL=0", re.I
)
MAX_ZONE_BYTES = 65536


class CalendarError(Exception):
    """A calendar that cannot be used; one line."""


class TakesTooLong(BaseException):
    """Raised inside what computes, by whoever limits it; no Exception, because
    the libraries catch those."""


Limit = Callable[[], AbstractContextManager[object]]
"""Around what computes one series of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """One event; times in Unix seconds. key: tells it from all others."""

    key: str
    start: int
    end: int
    title: str
    room: str | None
    pin: str | None

    def as_reported(self) -> dict[str, Any]:
        """As the status has it."""
        return {
            "start": self.start,
            "end": self.end,
            "title": self.title,
            "room": self.room,
            "pin": self.pin,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a calendar holds. left_out: series that cannot be computed, or not in
    time."""

    entries: list[CalendarEntry]
    left_out: int = 0


def entries_in(
    texts: Iterable[bytes], *, now: float, server: str, limit: Limit = nullcontext
) -> Found:
    """Events that are not over and begin within two days, in their order.

    All-day and cancelled ones are left out; times without a zone are local.
    Raises CalendarError for a text that is no calendar.
    """
    found: dict[str, CalendarEntry] = {}
    left_out = 0
    for text in texts:
        for series in _series(text, now):
            try:
                with limit():
                    told = [_entry(event, server) for event in _events(series, now)]
            except (TakesTooLong, Exception):  # the libraries raise whatever it was
                left_out += 1
                continue
            for entry in told:
                if entry and entry.end > now and entry.start <= now + AHEAD_S:
                    found[entry.key] = entry
    entries = sorted(found.values(), key=lambda entry: entry.start)[:MAX_ENTRIES]
    return Found(entries=entries, left_out=left_out)


def _series(text: bytes, now: float) -> Iterator[Any]:
    """A calendar for each event with its exceptions: what takes long is one."""
    if len(text) > MAX_BYTES:
        raise CalendarError(f"the calendar is larger than {MAX_BYTES} bytes")
    if b"BEGIN:VCALENDAR" not in text[:1000].upper():
        raise CalendarError("what is at the calendar's address is no calendar")
    # Not above: they take long to load.
    from icalendar import Calendar

    try:
        calendar = Calendar.from_ical(_quick_zones(text).decode("utf-8", "replace"))
        events = [part for part in calendar.subcomponents if part.name == "VEVENT"]
    except Exception as error:
        what = " ".join(str(error).split())[:100] or type(error).__name__
        raise CalendarError(f"the calendar cannot be read: {what}") from error
    if len(events) > MAX_EVENTS:
        raise CalendarError(f"the calendar has more than {MAX_EVENTS} events")
    near = [part for part in events if _is_quick(part) and not _is_far(part, now)]
    together: dict[str, list[Any]] = {}
    for number, part in enumerate(near):
        together.setdefault(str(part.get("UID", number)), []).append(part)
    # What happens once comes first: rules may use up the time for all of them.
    for parts in sorted(together.values(), key=_repeats):
        one = Calendar()
        one.subcomponents = parts
        yield one


def _repeats(parts: list[Any]) -> bool:
    return any("RRULE" in part for part in parts)


def _events(series: Any, now: float) -> list[Any]:
    import recurring_ical_events

    begin = datetime.fromtimestamp(now - MARGIN_S, UTC)
    end = begin + timedelta(seconds=AHEAD_S + 2 * MARGIN_S)
    return list(
        recurring_ical_events.of(series, skip_bad_series=True).between(begin, end)
    )


def _quick_zones(text: bytes) -> bytes:
    """Without time zones that would be computed for ever: the rules of a zone are
    expanded while the text is read. Real zones change once a year by a rule."""

    def kept(zone: re.Match[bytes]) -> bytes:
        bomb = _ZONE_BOMB.search(zone[0]) or len(zone[0]) > MAX_ZONE_BYTES
        return b"" if bomb else zone[0]

    return _ZONE.sub(kept, _FOLD.sub(b"", text))


def _is_far(part: Any, now: float) -> bool:
    """Whether it happens once, and neither these days nor in the days to come."""
    if any(name in part for name in ("RRULE", "RDATE", "RECURRENCE-ID")):
        return False
    try:
        begin = part["DTSTART"].dt
        over = part["DTEND"].dt if "DTEND" in part else begin
        if "DURATION" in part:
            over = begin + part["DURATION"].dt
        start, end = begin.isoformat()[:10], over.isoformat()[:10]
    except (AttributeError, TypeError, OverflowError):  # odd; the library decides
        return False
    days = (now - 2 * MARGIN_S, now + AHEAD_S + 2 * MARGIN_S)
    first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in days)
    return bool(end < first or start > last)


def _is_quick(part: Any) -> bool:
    """Whether the occurrences of an event can be told in little time."""
    rules = part.get("RRULE")
    if rules is None:
        return part.get("DTSTART") is not None
    if not hasattr(part.get("DTSTART"), "dt") or isinstance(rules, list):
        return False
    if part["DTSTART"].dt.year < EARLIEST_YEAR:
        return False
    if {str(f).upper() for f in rules.get("FREQ", [])} & _SLOW:
        return False
    if any(int(step) < 1 for step in rules.get("INTERVAL", [])):
        return False
    return all(len(rules.get(name, [])) <= 1 for name in _LISTS)


def _entry(event: Any, server: str) -> CalendarEntry | None:
    try:
        start, end = event.start, event.end
        if not isinstance(start, datetime) or not isinstance(end, datetime):
            return None
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            return None
        begin, over = int(start.timestamp()), int(end.timestamp())
        words = [str(event.get(name, "")) for name in ("LOCATION", "URL")]
        words += [str(event.get("DESCRIPTION", "")), str(event.get("CONFERENCE", ""))]
        title = " ".join(str(event.get("SUMMARY", "")).split())[:MAX_TITLE]
        uid = str(event.get("UID", title))[:200]
    except (ValueError, TypeError, OverflowError, OSError, AttributeError, KeyError):
        return None
    room, pin = meeting_in("\n".join(words), server)
    return CalendarEntry(
        key=f"{uid} {begin}", start=begin, end=over, title=title, room=room, pin=pin
    )
