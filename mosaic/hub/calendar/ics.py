"""Events of an iCalendar text (RFC 5545), as the hub reports them.

Whoever may invite the room writes into its calendar, so the text is a
stranger's: what would take long to compute is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mosaic.hub.calendar.invitation import meeting_in

MAX_BYTES = 8 * 1024 * 1024
MAX_EVENTS = 5000
MAX_ENTRIES = 100
MAX_TITLE = 300
AHEAD_S = 2 * 86400
EARLIEST_YEAR = 2000
"""Of a rule's beginning: each occurrence since then is counted through."""

_SLOW = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
_LISTS = ("BYHOUR", "BYMINUTE", "BYSECOND")


class CalendarError(Exception):
    """A calendar that cannot be used; one line."""


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


def entries_in(
    texts: Iterable[bytes], *, now: float, server: str
) -> list[CalendarEntry]:
    """Events that are not over and begin within two days, in their order.

    All-day and cancelled ones are left out; times without a zone are local.
    Raises CalendarError for a text that is no calendar.
    """
    found: dict[str, CalendarEntry] = {}
    for text in texts:
        for event in _events(text, now):
            entry = _entry(event, server)
            if entry is not None and entry.end > now:
                found[entry.key] = entry
    return sorted(found.values(), key=lambda entry: entry.start)[:MAX_ENTRIES]


def _events(text: bytes, now: float) -> list[Any]:
    if len(text) > MAX_BYTES:
        raise CalendarError(f"the calendar is larger than {MAX_BYTES} bytes")
    if b"BEGIN:VCALENDAR" not in text[:1000].upper():
        raise CalendarError("what is at the calendar's address is no calendar")
    # Not above: the agent shall be back in its meeting before they are loaded.
    import recurring_ical_events
    from icalendar import Calendar

    try:
        calendar = Calendar.from_ical(text.decode("utf-8", "replace"))
        calendar.subcomponents = [
            part for part in calendar.subcomponents if _is_quick(part)
        ]
        count = sum(1 for part in calendar.subcomponents if part.name == "VEVENT")
        if count > MAX_EVENTS:
            raise CalendarError(f"the calendar has more than {MAX_EVENTS} events")
        begin = datetime.fromtimestamp(now, UTC)
        return list(
            recurring_ical_events.of(calendar, skip_bad_series=True).between(
                begin, begin + timedelta(seconds=AHEAD_S)
            )
        )
    except CalendarError:
        raise
    except Exception as error:  # the libraries raise whatever befell them
        what = " ".join(str(error).split())[:100] or type(error).__name__
        raise CalendarError(f"the calendar cannot be read: {what}") from error


def _is_quick(part: Any) -> bool:
    """Whether its occurrences can be told in little time."""
    if part.name != "VEVENT":
        return bool(part.name == "VTIMEZONE")
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
