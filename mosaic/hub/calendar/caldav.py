"""A CalDAV query (RFC 4791 section 7.8) and its answer. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

from mosaic.hub.calendar.ics import AHEAD_S, MARGIN_S, CalendarError

NAMESPACE = "{urn:ietf:params:xml:ns:caldav}"


def query(now: float) -> bytes:
    """The body of a REPORT for the events of the next two days, with a margin for
    times without a zone, which the server takes for UTC."""
    begin, end = (
        datetime.fromtimestamp(t, UTC).strftime("%Y%m%dT%H%M%SZ")
        for t in (now - MARGIN_S, now + AHEAD_S + MARGIN_S)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<c:calendar-query xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
        "<d:prop><c:calendar-data/></d:prop>"
        '<c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT">'
        f'<c:time-range start="{begin}" end="{end}"/>'
        "</c:comp-filter></c:comp-filter></c:filter></c:calendar-query>"
    ).encode()


WHAT_IS_THERE = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<d:propfind xmlns:d="DAV:"><d:prop><d:resourcetype/></d:prop></d:propfind>'
)
"""The body of a PROPFIND: what an address is, and what is in it."""


def calendars_in(content: bytes) -> list[bytes]:
    """The iCalendar texts of a multistatus answer. Raises CalendarError."""
    return [
        data.text.encode()
        for data in _multistatus(content).iter(f"{NAMESPACE}calendar-data")
        if data.text
    ]


def collections_in(content: bytes) -> list[str]:
    """Where an answer to WHAT_IS_THERE says that there are calendars, as it says
    it: paths or URLs. Raises CalendarError."""
    return [
        (response.findtext("{DAV:}href") or "").strip()
        for response in _multistatus(content).iter("{DAV:}response")
        if response.find(f".//{{DAV:}}resourcetype/{NAMESPACE}calendar") is not None
    ]


def _multistatus(content: bytes) -> ElementTree.Element:
    # Entities are no part of WebDAV, and the way to blow up a parser.
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise CalendarError("the CalDAV server's answer is no UTF-8") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise CalendarError("the CalDAV server's answer has a DOCTYPE")
    try:
        parser = ElementTree.XMLParser(encoding="utf-8")  # noqa: S314 - see above
        root = ElementTree.fromstring(text, parser)  # noqa: S314
    except ElementTree.ParseError as error:
        raise CalendarError(f"the CalDAV server's answer: {error}") from None
    if root.tag != "{DAV:}multistatus":
        raise CalendarError("the CalDAV server answers something else")
    return root
