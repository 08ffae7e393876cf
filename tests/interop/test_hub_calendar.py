# mypy: disable-error-code="no-untyped-call"
"""The room's calendar on a real CalDAV server (Radicale), and a hub that joins."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from twisted.web.http import CACHED
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mosaic.hub.calendar.ics import CalendarEntry
from mosaic.hub.calendar.reading import reading_in_a_process
from mosaic.hub.calendar.source import CalendarSource
from mosaic.hub.calendar.watch import EVERY_S, FETCH_S, REFUSED_S, CalendarWatch
from mosaic.proxy.client import direct_dialler, http_client
from mosaic.proxy.logins import Logins
from mosaic.proxy.trust import authorities_in
from mosaic.wire.hops import Login
from tests.support.hub_process import RunningHub
from tests.support.onlooker import Onlooker
from tests.support.radicale import PASSWORD, USER, Radicale
from tests.support.running import RunningMosaic
from tests.support.tls_target import TlsTarget

reactor: Any = _reactor
SERVER = "https://hub.example.org"
HUB_ID = "412907339"
LINK = f"{SERVER}/join/{HUB_ID}#pin=615823"
NOW = datetime(2026, 9, 21, 14, 0, tzinfo=UTC)  # a Monday
WAIT_S = 60.0

HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//t//EN\n"
TAIL = "\nEND:VCALENDAR"
LISBON = """BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0000
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T010000
TZOFFSETFROM:+0000
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def event(uid: str, *lines: str) -> str:
    """One VEVENT."""
    inner = [f"UID:{uid}", "DTSTAMP:20260901T000000Z", *lines]
    return "\n".join(["BEGIN:VEVENT", *inner, "END:VEVENT"])


def at(when: datetime) -> str:
    """As iCalendar writes it."""
    return when.strftime("%Y%m%dT%H%M%SZ")


def clock_of(entry: CalendarEntry) -> str:
    """When it begins, in UTC."""
    return f"{datetime.fromtimestamp(entry.start, UTC):%d %H:%M}"


class CalendarCase(TestCase):
    """Timers on a Clock, everything else real."""

    timeout = 180

    def setUp(self) -> None:
        """Nobody reads a calendar yet."""
        # Where the hub stands: nine hours ahead, so that local times show.
        self.addCleanup(_set_zone, os.environ.get("TZ"))
        _set_zone("Asia/Tokyo")
        self.clock = Clock()
        self.clock.advance(time.monotonic())
        self.moment = NOW.timestamp()
        self.began: list[str] = []

    def watching(self, trust: Any, password: str = PASSWORD) -> CalendarWatch:
        """A hub's calendar."""
        source = CalendarSource(
            http_client(direct_dialler(reactor, trust=trust)),
            logins=Logins({"localhost": Login(USER, password)}),
            wall=lambda: self.moment,
        )
        watch = CalendarWatch(
            self.clock,
            source,
            reading_in_a_process(reactor),
            server=SERVER,
            wall=lambda: self.moment,
            begins=lambda key, room: self.began.append(key.partition(" ")[0]),
            changed=lambda: None,
        )
        watch.start()
        self.addCleanup(watch.stop)
        return watch

    async def until(self, so: Callable[[], Any]) -> None:
        """While the reactor runs."""
        end = reactor.seconds() + WAIT_S
        while not so():
            self.assertLess(reactor.seconds(), end)
            await deferLater(reactor, 0.02)

    async def pass_by(self, seconds: float, watch: CalendarWatch) -> None:
        """Time goes on, second by second near the end of each look."""
        for _ in range(int(seconds)):
            self.moment += 1
            self.clock.advance(1)
            await self.until(lambda: watch._work is None)


class CalDavTests(CalendarCase):
    """Radicale."""

    def setUp(self) -> None:
        """A server with an empty calendar."""
        super().setUp()
        self.dav = Radicale().start()
        self.addCleanup(self.dav.stop)
        self.trust = authorities_in(self.dav.pem.encode())

    def starts(self, watch: CalendarWatch) -> dict[str, str]:
        """Title and beginning of what is known."""
        return {f"{e.title} {clock_of(e)}": e.room or "" for e in watch.entries or []}

    def test_events_as_calendars_write_them(self) -> Deferred[None]:
        """The link in each place, zones of three kinds, exceptions of a series."""
        return Deferred.fromCoroutine(self._events())

    async def _events(self) -> None:
        dav = self.dav
        for name, line in (
            ("place", f"LOCATION:{LINK}"),
            ("text", f"DESCRIPTION:Please join:\\n{LINK}\\nThank you"),
            ("url", f"URL:{LINK}"),
            ("none", "LOCATION:Room 4.12"),
        ):
            when = ("DTSTART:20260921T150000Z", "DTEND:20260921T160000Z")
            one = event(name, *when, f"SUMMARY:{name}", line)
            dav.put(name, HEAD + one + TAIL)
        weekly = event(
            "series",
            "DTSTART;TZID=W. Europe Standard Time:20260302T090000",
            "DURATION:PT15M",
            "RRULE:FREQ=DAILY",
            "SUMMARY:stand-up",
        )
        moved = event(
            "series",
            "RECURRENCE-ID;TZID=W. Europe Standard Time:20260922T090000",
            "DTSTART;TZID=W. Europe Standard Time:20260922T113000",
            "DURATION:PT15M",
            "SUMMARY:stand-up later",
        )
        off = event(
            "series",
            "RECURRENCE-ID;TZID=W. Europe Standard Time:20260923T090000",
            "DTSTART;TZID=W. Europe Standard Time:20260923T090000",
            "DURATION:PT15M",
            "STATUS:CANCELLED",
            "SUMMARY:stand-up",
        )
        dav.put("series", f"{HEAD}{LISBON}{weekly}\n{moved}\n{off}{TAIL}")
        # 00:30 in Tokyo is 15:30 in UTC the day before; 08:00 there is 23:00.
        for name, begin in (
            ("late", "20260922T003000"),
            ("morning", "20260922T080000"),
        ):
            one = event(name, f"DTSTART:{begin}", "DURATION:PT1H", f"SUMMARY:{name}")
            dav.put(name, HEAD + one + TAIL)
        day = event("day", "DTSTART;VALUE=DATE:20260922", "SUMMARY:holiday")
        dav.put("day", HEAD + day + TAIL)
        bomb = event("bomb", "DTSTART:20260921T150000Z", "RRULE:FREQ=SECONDLY")
        dav.put("bomb", HEAD + bomb + TAIL)

        watch = self.watching(self.trust)
        watch.watch(dav.url)
        await self.until(lambda: watch.entries is not None or watch.problem)
        self.assertIsNone(watch.problem)
        self.assertEqual(
            self.starts(watch),
            {
                "place 21 15:00": HUB_ID,
                "text 21 15:00": HUB_ID,
                "url 21 15:00": HUB_ID,
                "none 21 15:00": "",
                "late 21 15:30": "",
                "morning 21 23:00": "",
                "stand-up later 22 10:30": "",
            },
        )
        self.assertEqual({e.pin for e in watch.entries or [] if e.room}, {"615823"})

    def test_changes_while_the_hub_runs(self) -> Deferred[None]:
        """Moved, deleted, and a server that is away: what is known stays; a meeting
        that is cancelled a minute before it begins is not joined."""
        return Deferred.fromCoroutine(self._changes())

    async def _changes(self) -> None:
        dav = self.dav

        def put(name: str, start: datetime) -> None:
            lines = (f"DTSTART:{at(start)}", "DURATION:PT1H", f"LOCATION:{LINK}")
            dav.put(name, HEAD + event(name, *lines, f"SUMMARY:{name}") + TAIL)

        put("one", NOW + timedelta(minutes=20))
        put("two", NOW + timedelta(minutes=30))
        watch = self.watching(self.trust)
        watch.watch(dav.url)
        await self.until(lambda: len(watch.entries or []) == 2)
        put("one", NOW + timedelta(minutes=40))
        dav.delete("two")
        await self.pass_by(EVERY_S, watch)
        self.assertEqual(self.starts(watch), {"one 21 14:40": HUB_ID})

        dav.away()
        await self.pass_by(EVERY_S, watch)
        self.assertIn("no TCP connection", watch.problem or "")
        self.assertEqual(self.starts(watch), {"one 21 14:40": HUB_ID})
        dav.start()
        put("three", NOW + timedelta(minutes=17))
        await self.pass_by(EVERY_S, watch)
        self.assertIsNone(watch.problem)
        self.assertEqual(len(watch.entries or []), 2)

        asked = dav.asked()
        await self.pass_by(60, watch)  # a minute before "three"
        self.assertEqual(dav.asked(), asked)
        dav.delete("three")
        await self.pass_by(120, watch)
        self.assertEqual(self.began, [])
        self.assertEqual(dav.asked(), asked + 1)

    def test_wrong_password(self) -> Deferred[None]:
        """Says so, and asks less and less often: accounts are locked by less."""
        return Deferred.fromCoroutine(self._wrong_password())

    async def _wrong_password(self) -> None:
        watch = self.watching(self.trust, "wrong")
        watch.watch(self.dav.url)
        await self.until(lambda: watch.problem)
        self.assertIn("refuses the user and password of room", watch.problem or "")
        self.assertNotIn("wrong", watch.problem or "")
        self.assertEqual(self.dav.asked(), 1)
        await self.pass_by(REFUSED_S - 1, watch)
        self.assertEqual(self.dav.asked(), 1)
        await self.pass_by(1, watch)
        self.assertEqual(self.dav.asked(), 2)
        await self.pass_by(REFUSED_S * 1.5, watch)
        self.assertEqual(self.dav.asked(), 2)
        # Without any login, and at what is no calendar.
        for url, words in (
            (self.dav.url.replace("localhost", "127.0.0.1"), "TLS failed"),
            (
                f"https://localhost:{self.dav.port}/{USER}/",
                "there is https://localhost",
            ),
            (f"https://localhost:{self.dav.port}/{USER}/nothing/", "(404)"),
        ):
            right = self.watching(self.trust)
            right.watch(url)
            await self.until(lambda right=right: right.problem or right.entries)  # type: ignore[misc]
            self.assertIn(words, right.problem or f"{right.entries}")


class _Host(Resource):
    """`/room.ics` with a tag, and `/huge.ics`, which never ends before 50 MB."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.text = b""
        self.codes: list[int] = []
        self.huge_bytes = 0

    def render_GET(self, request: Any) -> bytes | int:
        if request.path == b"/huge.ics":
            request.registerProducer(_Pages(self, request), False)
            return NOT_DONE_YET
        tag = b'"%d"' % hash(self.text)
        if request.setETag(tag) is CACHED:
            self.codes.append(304)
            return b""
        self.codes.append(200)
        return self.text


class _Pages:
    """50 MB of a calendar, for as long as somebody takes them."""

    def __init__(self, host: _Host, request: Any) -> None:
        self._host, self._request = host, request
        self._page = b"BEGIN:VCALENDAR\r\n" + b"X" * 65536

    def resumeProducing(self) -> None:
        """One more."""
        if self._host.huge_bytes >= 50_000_000:
            self._request.unregisterProducer()
            self._request.finish()
            return
        self._host.huge_bytes += len(self._page)
        self._request.write(self._page)

    def stopProducing(self) -> None:
        """They have hung up."""


class IcsTests(CalendarCase):
    """A file on a web server."""

    def setUp(self) -> None:
        """It listens."""
        super().setUp()
        self.host = _Host()
        self.target = TlsTarget(reactor, self.host)
        self.addCleanup(self.target.stop)
        self.url = f"https://localhost:{self.target.port}"

    def test_polls_politely(self) -> Deferred[None]:
        """What has not changed is not sent again; a change is seen."""
        return Deferred.fromCoroutine(self._politely())

    async def _politely(self) -> None:
        lines = (f"DTSTART:{at(NOW)}", "DURATION:PT1H", "SUMMARY:a")
        self.host.text = (HEAD + event("a", *lines) + TAIL).encode()
        watch = self.watching(self.target.trust)
        watch.watch(f"{self.url}/room.ics")
        await self.until(lambda: watch.entries)
        await self.pass_by(2 * EVERY_S, watch)
        self.assertEqual(self.host.codes, [200, 304, 304])
        self.assertEqual(len(watch.entries or []), 1)
        self.host.text = self.host.text.replace(b"SUMMARY:a", b"SUMMARY:b")
        await self.pass_by(EVERY_S, watch)
        self.assertEqual((watch.entries or [])[0].title, "b")

    def test_calendar_of_50_megabytes(self) -> Deferred[None]:
        """Is not taken to its end."""
        return Deferred.fromCoroutine(self._huge())

    async def _huge(self) -> None:
        watch = self.watching(self.target.trust)
        watch.watch(f"{self.url}/huge.ics")
        await self.until(lambda: watch.problem)
        self.assertEqual(watch.problem, "calendar: the calendar is larger than 8 MiB")
        self.assertLess(self.host.huge_bytes, 20_000_000)

    def test_rules_that_never_end_take_no_meeting_with_them(self) -> Deferred[None]:
        """Whoever may invite the room writes here: the others are told, in time,
        and the agent does not compute itself."""
        return Deferred.fromCoroutine(self._bombs())

    async def _bombs(self) -> None:
        rules = ("SECONDLY", "MINUTELY", "DAILY;BYMONTH=2;BYMONTHDAY=30")
        once = (f"DTSTART:{at(NOW)}", "DURATION:PT1H")
        bombs = [
            event(rule[:5], "DTSTART:20000101T000000Z", f"RRULE:FREQ={rule}")
            for rule in rules
        ]
        zone = LISBON.replace("YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3", "SECONDLY")
        zoned = event("z", "DTSTART;TZID=W. Europe Standard Time:20260921T233000")
        parts = [*bombs, event("good", *once, "SUMMARY:good"), zoned]
        self.host.text = (HEAD + zone + "\n".join(parts) + TAIL).encode()
        watch = self.watching(self.target.trust)
        watch.watch(f"{self.url}/room.ics")
        spent = time.process_time()
        await self.until(lambda: watch.entries is not None)
        self.assertLess(time.process_time() - spent, 1)
        self.assertEqual([e.title for e in watch.entries or []][:1], ["good"])
        self.assertIn("1 of its events", watch.problem or "")

    def test_server_that_says_nothing(self) -> Deferred[None]:
        """Is left after half a minute, and the reason is a line."""
        return Deferred.fromCoroutine(self._silence())

    async def _silence(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            watch = self.watching(self.target.trust)
            watch.watch(f"http://127.0.0.1:{silent.getsockname()[1]}/room.ics")
            await deferLater(reactor, 0.1)
            self.clock.advance(FETCH_S)
            await self.until(lambda: watch.problem)
        self.assertEqual(watch.problem, "calendar: no answer within 30 s")


class JoinTests(TestCase):
    """A box, its server and its calendar, all of them processes."""

    timeout = 180

    def test_hub_joins_when_the_meeting_begins(self) -> Deferred[None]:
        """With --join-calendar, by CalDAV over TLS with a login in a file; the
        calendar's certificate is of another authority than the server's."""
        return Deferred.fromCoroutine(self._joins())

    async def _joins(self) -> None:
        dav = Radicale().start()
        self.addCleanup(dav.stop)
        server = RunningMosaic().start()
        self.addCleanup(server.stop)
        state = Path(tempfile.mkdtemp(prefix="mosaic-hub-test-"))
        self.addCleanup(shutil.rmtree, state, ignore_errors=True)
        code = server.command_json("hub", "enrol-code")["code"]
        room = server.command_json("room", "create", "Design review")
        people = Onlooker(
            reactor, f"ws://localhost:{server.http_port}/drcp", room["token"]
        )
        await people.start()
        self.addCleanup(people.stop)

        begins = datetime.now(UTC) + timedelta(seconds=8)
        link = f"{server.tls_url}/join/{room['hub_id']}#pin={room['pin']}"
        lines = (f"DTSTART:{at(begins)}", "DURATION:PT1H", f"LOCATION:{link}")
        dav.put("review", HEAD + event("review", *lines, "SUMMARY:Review") + TAIL)
        login, authorities = state / "calendar-login", state / "authorities.pem"
        login.write_text(f"localhost:{dav.port} {USER} {PASSWORD}\n")
        login.chmod(0o600)
        authorities.write_text((server.state / "tls" / "ca.pem").read_text() + dav.pem)
        flags = ("--calendar", dav.url, "--calendar-login", str(login))
        hub = RunningHub(server, state / "hub", *flags, "--join-calendar")
        hub.start("--ca", str(authorities), "--enrol-code", code, "--name", "Lisbon")
        self.addCleanup(hub.stop)
        end = reactor.seconds() + WAIT_S
        while not people.came:
            self.assertLess(reactor.seconds(), end, hub.output())
            await deferLater(reactor, 0.05)
        self.assertIn("Lisbon", people.names())
        early_s = begins.replace(microsecond=0).timestamp() - time.time()
        self.assertLessEqual(early_s, 0)
        self.assertEqual(hub.stop(), 0)
        self.assertNotIn(PASSWORD, hub.output())


def _set_zone(name: str | None) -> None:
    """The process's time zone."""
    if name is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = name
    time.tzset()
