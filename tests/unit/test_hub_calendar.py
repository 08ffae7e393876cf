"""The room's calendar: a stranger's text, read every five minutes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from mosaic.hub.calendar.caldav import calendars_in, collections_in, query
from mosaic.hub.calendar.ics import CalendarError, Found, TakesTooLong, entries_in
from mosaic.hub.calendar.invitation import meeting_in
from mosaic.hub.calendar.source import CalendarSource
from mosaic.hub.calendar.watch import ANEW_S, EVERY_S, MOST_S, CalendarWatch
from mosaic.proxy.logins import Logins
from mosaic.wire.hops import Login

SERVER = "https://hub.example.org"
HUB_ID = "412907339"
NOW = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC, a Monday


def set_zone(name: str | None) -> None:
    """Of this process."""
    os.environ.pop("TZ", None)
    if name is not None:
        os.environ["TZ"] = name
    time.tzset()


def calendar(*events: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//t//t//EN"]
    for number, event in enumerate(events):
        lines += ["BEGIN:VEVENT", f"UID:{number}", "DTSTAMP:20260901T000000Z"]
        lines += [*event.strip().splitlines(), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


REVIEW = f"""
DTSTART:20260921T150000Z
DTEND:20260921T160000Z
SUMMARY:Design review
LOCATION:https://hub.example.org/join/{HUB_ID}#pin=615823
"""


class IcsTests(SynchronousTestCase):
    """Which events are told, and how."""

    def entries(self, *events: str) -> list[Any]:
        return entries_in([calendar(*events)], now=NOW, server=SERVER).entries

    def test_event_with_a_join_link(self) -> None:
        """As it is reported."""
        (entry,) = self.entries(REVIEW)
        self.assertEqual(
            entry.as_reported(),
            {
                "start": 1790002800,
                "end": 1790006400,
                "title": "Design review",
                "room": HUB_ID,
                "pin": "615823",
            },
        )

    def test_recurring_event_with_a_zone_and_an_exception(self) -> None:
        """Each weekday at nine in Lisbon since spring, but not on the 22nd."""
        daily = """
DTSTART;TZID=Europe/Lisbon:20260401T090000
DURATION:PT15M
RRULE:FREQ=DAILY
EXDATE;TZID=Europe/Lisbon:20260922T090000
SUMMARY:Stand-up
"""
        starts = [entry.start for entry in self.entries(daily)]
        self.assertEqual(starts, [1790150400])  # the 23rd, 08:00 UTC

    def test_all_day_cancelled_past_and_far_events_are_left_out(self) -> None:
        """None of them is a meeting to go to."""
        all_day = "DTSTART;VALUE=DATE:20260921\nDTEND;VALUE=DATE:20260922"
        past = REVIEW.replace("T15", "T10").replace("T16", "T11")
        far = REVIEW.replace("20260921", "20261021")
        cancelled = f"{REVIEW}\nSTATUS:CANCELLED"
        self.assertEqual(self.entries(all_day, past, far, cancelled), [])

    def test_rules_that_take_long_are_left_out(self) -> None:
        """Whoever may invite the room must not stop it."""
        bombs = [
            "RRULE:FREQ=SECONDLY",
            "RRULE:FREQ=MINUTELY",
            "RRULE:FREQ=HOURLY",
            "RRULE:FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=1,2,3,4",
            "RRULE:FREQ=DAILY;INTERVAL=0",
            "RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY",
        ]
        events = [f"{REVIEW}\n{bomb}" for bomb in bombs]
        old = REVIEW.replace("DTSTART:2026", "DTSTART:0001") + "\nRRULE:FREQ=DAILY"
        self.assertEqual(self.entries(*events, old), [])
        self.assertEqual(len(self.entries(*events, old, REVIEW)), 1)

    def test_time_zones_that_take_long_are_left_out(self) -> None:
        """Their rules are expanded while the text is read; also one that hides in
        folded lines."""
        for rule in ("RRULE:FREQ=SECONDLY", "RRU\r\n LE:FREQ=SEC\r\n ONDLY"):
            zone = (
                "BEGIN:VTIMEZONE\r\nTZID:X/Bomb\r\nBEGIN:STANDARD\r\n"
                f"DTSTART:19700101T000000\r\n{rule}\r\nTZOFFSETFROM:+0000\r\n"
                "TZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
            ).encode()
            text = calendar(REVIEW).replace(b"BEGIN:VEVENT", zone + b"BEGIN:VEVENT")
            found = entries_in([text], now=NOW, server=SERVER)
            self.assertEqual(len(found.entries), 1)

    def test_series_that_is_cut_off_takes_no_other_with_it(self) -> None:
        """Whoever limits the time says when."""
        turns = iter((False, True))

        @contextmanager
        def limit() -> Iterator[None]:
            if next(turns):
                raise TakesTooLong
            yield

        text = calendar(REVIEW, REVIEW)
        found = entries_in([text], now=NOW, server=SERVER, limit=limit)
        self.assertEqual((len(found.entries), found.left_out), (1, 1))

    def test_times_without_a_zone_are_local(self) -> None:
        """From Honolulu to Auckland: an event that is on now."""
        self.addCleanup(set_zone, os.environ.get("TZ"))
        for zone, begun in (
            ("Pacific/Honolulu", "20260921T040000"),
            ("Pacific/Auckland", "20260922T020000"),
        ):
            set_zone(zone)
            (entry,) = self.entries(f"DTSTART:{begun}\nDURATION:PT1H")
            self.assertEqual(entry.start, 1_789_999_200)

    def test_what_is_no_calendar_says_so(self) -> None:
        """A page of a login, for example."""
        for text in (b"<html>", b"", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT"):
            try:
                found = entries_in([text], now=NOW, server=SERVER)
                self.assertEqual(found.entries, [])
            except CalendarError as error:
                self.assertNotIn("\n", str(error))

    @given(st.binary(max_size=400))
    @settings(max_examples=80, deadline=None)
    def test_any_bytes_are_entries_or_a_calendar_error(self, text: bytes) -> None:
        """Inside an event, too."""
        for content in (text, calendar(text.decode("latin-1"))):
            try:
                entries_in([content], now=NOW, server=SERVER)
            except CalendarError:
                pass


class InvitationTests(SynchronousTestCase):
    """Which room an invitation means."""

    def test_link_or_number_and_pin(self) -> None:
        """As people and programs write them."""
        for text, expected in (
            (f"{SERVER}/join/{HUB_ID}", (HUB_ID, None)),
            (f"{SERVER}/?hub={HUB_ID}&pin=615823", (HUB_ID, "615823")),
            (f"Join {SERVER}/j/{HUB_ID} PIN: 615 823", (HUB_ID, "615823")),
            ("Hub ID 412 907 339, PIN 615823", (HUB_ID, "615823")),
            ("Room 4.12", (None, None)),
            ("call +41 290 733 212", (None, None)),
            ("412 907 338", (None, None)),  # a mistyped digit
            (f"https://other.example/join/{HUB_ID}", (None, None)),
        ):
            self.assertEqual(meeting_in(text, SERVER), expected, text)

    @given(st.text(max_size=200))
    def test_any_text_is_a_meeting_or_none(self, text: str) -> None:
        """Whatever people write."""
        meeting_in(text, SERVER)
        meeting_in(f"{SERVER}/{text}", SERVER)


class CalDavTests(SynchronousTestCase):
    """The query and its answer."""

    def test_query_asks_for_two_days_and_one_around_them(self) -> None:
        """RFC 4791 section 7.8.1; to a server, local times are UTC's."""
        self.assertIn(b'start="20260920T141320Z" end="20260924T141320Z"', query(NOW))

    def test_what_is_there(self) -> None:
        """RFC 4791 section 4.2: resource types."""
        kinds = {"/a/": "<c:calendar/><d:collection/>", "/b/": "<d:collection/>"}
        responses = "".join(
            f"<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype>"
            f"{kind}</d:resourcetype></d:prop></d:propstat></d:response>"
            for href, kind in kinds.items()
        )
        answer = (
            '<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
            f"{responses}</d:multistatus>"
        )
        self.assertEqual(collections_in(answer.encode()), ["/a/"])

    def test_answer_holds_calendars(self) -> None:
        """One for each resource."""
        answer = multistatus(calendar(REVIEW))
        (text,) = calendars_in(answer)
        found = entries_in([text], now=NOW, server=SERVER)
        self.assertEqual(len(found.entries), 1)

    def test_entities_are_refused(self) -> None:
        """A billion laughs."""
        bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
        for content in (bomb, bomb.decode().encode("utf-16"), b"<a/>", b"<"):
            self.assertRaises(CalendarError, calendars_in, content)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_calendars_or_a_calendar_error(self, content: bytes) -> None:
        """Never another error."""
        try:
            calendars_in(content)
        except CalendarError:
            pass


def multistatus(text: bytes) -> bytes:
    return (
        b'<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
        b"<d:response><d:propstat><d:prop><c:calendar-data>"
        + text
        + b"</c:calendar-data></d:prop></d:propstat></d:response></d:multistatus>"
    )


class CalendarHost(Resource):
    """Answers GET with a calendar and REPORT with a multistatus."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.text = calendar(REVIEW)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[bytes, str | None]] = []
        self.had: list[str | None] = []

    def render(self, request: Any) -> bytes:
        self.asked.append((request.method, request.getHeader("authorization")))
        self.had.append(request.getHeader("if-none-match"))
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        if self.headers.get("ETag") == self.had[-1] is not None:
            request.setResponseCode(304)
            return b""
        if request.method == b"REPORT":
            return multistatus(self.text)
        return self.text


class WatchTests(SynchronousTestCase):
    """On a Clock, over a StubTreq."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.host = CalendarHost()
        self.treq = StubTreq(self.host)
        self.began: list[tuple[str, str]] = []
        self.changes = 0

        self.reads = 0

        async def read(content: bytes, *, dav: bool, now: float, server: str) -> Found:
            self.reads += 1
            texts = calendars_in(content) if dav else [content]
            return entries_in(texts, now=now, server=server)

        def wall() -> float:
            return NOW + self.clock.seconds()

        self.watch = CalendarWatch(
            self.clock,
            CalendarSource(
                self.treq,
                logins=Logins({"dav.example.org": Login("room", "secret")}),
                wall=wall,
            ),
            read,
            server=SERVER,
            wall=wall,
            begins=lambda key, room: self.began.append((key, room)),
            changed=self._changed,
        )
        self.watch.start()
        self.addCleanup(self.watch.stop)

    def _changed(self) -> None:
        self.changes += 1

    def test_reads_again_and_says_when_a_meeting_begins(self) -> None:
        """At 15:00, 2800 seconds from now."""
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        assert self.watch.entries is not None
        self.assertEqual(len(self.watch.entries), 1)
        for _ in range(280):
            self.clock.advance(10)
            self.treq.flush()
        self.assertEqual({room for _, room in self.began}, {HUB_ID})
        self.assertGreaterEqual(len(self.host.asked), 1 + 2800 // int(EVERY_S))
        self.assertEqual(self.changes, 1)

    def pass_by(self, seconds: float) -> None:
        """In one step."""
        self.clock.advance(seconds)
        self.treq.flush()

    def test_bad_answer_is_a_problem_and_keeps_what_was_read(self) -> None:
        """A meeting does not vanish because a server is down."""
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        self.host.headers["Location"] = "http://inside.example/x.ics"
        for status, words in ((503, "503"), (404, "404"), (302, "https")):
            self.host.status = status
            self.pass_by(EVERY_S)
            self.assertIn(words, self.watch.problem or "")
            self.assertEqual(len(self.watch.entries or []), 1)
        self.host.status, self.host.text = 200, b"<html>"
        self.pass_by(EVERY_S)
        self.assertIn("no calendar", self.watch.problem or "")

    def test_refused_login_is_said_less_and_less_often(self) -> None:
        """A domain locks an account after five tries in half an hour."""
        self.host.status = 401
        self.watch.watch("https://a:b@cal.example.org/room.ics")
        self.treq.flush()
        self.assertIn("refuses the user and password of a", self.watch.problem or "")
        for minutes, tries in ((9, 1), (1, 2), (19, 2), (1, 3), (39, 3), (1, 4)):
            self.pass_by(minutes * 60)
            self.assertEqual(len(self.host.asked), tries)
        self.pass_by(MOST_S)
        self.assertEqual(len(self.host.asked), 5)
        self.host.status = 200
        self.pass_by(MOST_S)
        self.assertIsNone(self.watch.problem)
        self.pass_by(EVERY_S)
        self.assertEqual(len(self.host.asked), 7)

    def test_server_that_asks_for_time_gets_it(self) -> None:
        """Retry-After, an hour at most."""
        self.host.status, self.host.headers = 503, {"Retry-After": "1200"}
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        self.pass_by(1199)
        self.assertEqual(len(self.host.asked), 1)
        self.pass_by(1)
        self.assertEqual(len(self.host.asked), 2)

    def test_what_has_not_changed_is_neither_sent_nor_read_again(self) -> None:
        """304 (RFC 9110 section 13.1); but after an hour other days are near."""
        self.host.headers = {"ETag": '"one"'}
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        for _ in range(3):
            self.pass_by(EVERY_S)
        self.assertEqual(self.host.had, [None, '"one"', '"one"', '"one"'])
        self.assertEqual((self.reads, len(self.watch.entries or [])), (1, 1))
        self.assertIsNone(self.watch.problem)
        self.host.headers = {"ETag": '"two"'}
        self.host.text = calendar()
        self.pass_by(EVERY_S)
        self.assertEqual((self.reads, self.watch.entries), (2, []))
        self.host.text = calendar(REVIEW)  # under the old tag
        for _ in range(int(ANEW_S // EVERY_S)):
            self.pass_by(EVERY_S)
        self.assertEqual((self.reads, self.host.had[-1]), (3, None))

    def test_server_without_tags(self) -> None:
        """The same content is not read again either."""
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        self.pass_by(EVERY_S)
        self.assertEqual((self.reads, len(self.host.asked)), (1, 2))

    def test_meeting_is_looked_at_before_it_begins(self) -> None:
        """It begins 2800 s from now, and what was read 100 s before says too little."""
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        self.pass_by(2700)
        asked = len(self.host.asked)
        self.host.text = calendar(f"{REVIEW}\nSTATUS:CANCELLED")
        for _ in range(30):
            self.pass_by(5)
        self.assertEqual(len(self.host.asked), asked + 1)
        self.assertEqual(self.began, [])

    def test_caldav_by_a_collections_address_with_a_login(self) -> None:
        """The login of the file, or that of the URL."""
        self.watch.watch("https://dav.example.org/room/")
        self.treq.flush()
        self.assertEqual(len(self.watch.entries or []), 1)
        self.assertEqual(self.host.asked[-1], (b"REPORT", "Basic cm9vbTpzZWNyZXQ="))
        self.watch.watch("https://a%40b:c%3A@cal.example.org/x.ics")
        self.treq.flush()
        self.assertEqual(self.host.asked[-1], (b"GET", "Basic YUBiOmM6"))

    def test_server_sends_nobody_to_what_listens_on_this_machine(self) -> None:
        """A redirect is a stranger's word."""
        self.host.status = 302
        self.host.headers["Location"] = "http://127.0.0.1:8080/api"
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        self.assertIn("https", self.watch.problem or "")
        self.assertEqual(len(self.host.asked), 1)

    def test_digest_where_the_server_asks_for_it(self) -> None:
        """And the password is not said by Basic to it again."""
        self.host.status = 401
        self.host.headers = {"WWW-Authenticate": 'Digest realm="r", nonce="n"'}
        self.watch.watch("https://dav.example.org/room/")
        self.treq.flush()
        kinds = [(said or "").partition(" ")[0] for _, said in self.host.asked]
        self.assertEqual(kinds, ["Basic", "Digest"])
        self.pass_by(MOST_S)
        kinds = [(said or "").partition(" ")[0] for _, said in self.host.asked]
        self.assertEqual(kinds, ["Basic", "Digest", "", "Digest"])

    def test_login_stays_at_its_server(self) -> None:
        """A redirect within it keeps it; another server does not get it."""
        self.host.status = 301
        for place, said in (
            ("/room/", "Basic YTpi"),
            ("https://elsewhere.example/room/", None),
        ):
            self.host.headers["Location"] = place
            self.watch.watch(f"https://a:b@cal.example.org/{len(place)}")
            self.treq.flush()
            self.assertEqual(self.host.asked[-1], (b"REPORT", said))

    def test_clear_text_is_refused(self) -> None:
        """A login would be readable, and anybody could send the hub anywhere."""
        self.watch.watch("http://cal.example.org/x.ics")
        self.treq.flush()
        self.assertIn("https", self.watch.problem or "")
        self.assertEqual(self.host.asked, [])

    def test_no_calendar_any_more_is_reported_as_none(self) -> None:
        """Else the wall would show the last one for ever."""
        self.watch.watch("https://cal.example.org/room.ics")
        self.treq.flush()
        self.watch.watch(None)
        self.assertEqual(self.watch.as_reported(), [])
