"""When a hub checks its network by itself, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.calls import CallRefused
from mosaic.hub.netfound import Found, FoundFile, as_reported
from mosaic.hub.netwatch import (
    AGAIN_S,
    APART_S,
    DAY_S,
    LIMIT_S,
    PATIENCE_S,
    SOON_S,
    CheckFailed,
    NetworkWatch,
)
from mosaic.netcheck.result import Check, Report, Verdict
from mosaic.services.rest.hubdocuments import NetworkResult
from mosaic.wire.hops import NoAnswer

SERVER = "https://hub.example.org"
REPORT = Report(
    server=SERVER,
    via="direct",
    outcome="degraded",
    verdicts=(
        Verdict(capability="signalling", outcome="ok", advice="Good."),
        Verdict(capability="media", outcome="degraded", advice="UDP is blocked."),
    ),
    checks=(Check(name="udp-53", outcome="blocked", ms=2.0, data={"a": 1}),),
    took_s=1.0,
)
TOOK_S = 2.0


class WatchCase(SynchronousTestCase):
    """A watch whose checks take two seconds of a Clock's time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.made: list[float] = []
        self.told: list[Found] = []
        self.refusal: Exception | None = None
        self.busy = False
        self.luck = 0.0
        self.report = REPORT
        self.watch = self.start()

    def start(self) -> NetworkWatch:
        """A new process on the same disk."""

        async def check(quick: Callable[[], bool]) -> Report:
            self.made.append(self.clock.seconds())
            waiting: Deferred[None] = Deferred()
            self.clock.callLater(TOOK_S, waiting.callback, None)
            await waiting
            quick()
            return self.report

        async def tell(found: Found) -> None:
            if self.refusal is not None:
                raise self.refusal
            self.told.append(found)

        return NetworkWatch(
            self.clock,
            SERVER,
            FoundFile(self.folder),
            check=check,
            hush=lambda: self.busy,
            wall=lambda: 1_790_000_000 + self.clock.seconds(),
            random=lambda: self.luck,
            tell=tell,
        )

    def pass_time(self, seconds: float) -> None:
        """In steps, so that what one timer sets, another may reach."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            due = [c.getTime() for c in self.clock.getDelayedCalls()]
            step = min([end, *due]) - self.clock.seconds()
            self.clock.advance(max(step, 0.001))


class ByItselfTests(WatchCase):
    """Nobody asks."""

    def test_once_at_a_new_server_and_then_once_a_day(self) -> None:
        """Some time after it was reached: boxes that start together shall not
        check together."""
        self.watch.reached()
        self.pass_time(SOON_S - 1)
        self.assertEqual(self.made, [])
        self.pass_time(4)
        self.assertEqual([found.reason for found in self.told], ["enrolled"])
        self.watch.reached()
        self.pass_time(DAY_S - 10)
        self.assertEqual(len(self.made), 1)
        self.pass_time(20)
        self.assertEqual([found.reason for found in self.told], ["enrolled", "daily"])

    def test_luck_spreads_many(self) -> None:
        """Both the first one and those of each day."""
        self.luck = 1.0
        self.watch.reached()
        self.pass_time(2 * SOON_S + TOOK_S + 1)
        self.assertEqual(self.made, [1000 + 2 * SOON_S])
        self.pass_time(DAY_S)
        self.assertEqual(len(self.made), 2)
        self.assertAlmostEqual(self.made[1] - self.made[0] - TOOK_S, 0.9 * DAY_S, 2)

    def test_a_start_is_no_reason(self) -> None:
        """What was found yesterday is kept, and so is when; a hub that is killed
        again and again does not check each time."""
        self.watch.reached()
        self.pass_time(60)
        again = self.start()
        assert again.latest is not None
        self.assertTrue(again.latest.told)
        again.reached()
        self.pass_time(3600)
        self.assertEqual(len(self.made), 1)

    def test_a_server_that_restarts_is_no_reason(self) -> None:
        """It is away for some seconds."""
        for _ in range(5):
            self.watch.reached()
            self.pass_time(5)
            self.watch.lost()
            self.pass_time(PATIENCE_S - 1)
        self.assertEqual(self.made, [])

    def test_a_server_that_stays_away_is_one_now_and_then(self) -> None:
        """However often it is tried meanwhile, and however often the agent starts;
        each network is checked at most once in a quarter of an hour."""
        for _ in range(60):
            self.watch.lost()
            self.pass_time(30)
        self.watch.stop()
        self.watch = self.start()
        self.watch.lost()
        self.pass_time(60)
        self.assertEqual(self.made[0], 1000 + PATIENCE_S)
        gaps = [b - a for a, b in pairwise(self.made)]
        self.assertEqual(len(gaps), 2)  # of 1860 s
        self.assertGreaterEqual(min(gaps), APART_S)
        self.assertEqual(self.told, [])

    def test_what_was_found_without_a_server_is_told_when_it_is_back(self) -> None:
        """With its age; and looked at again before long, for it is old then."""
        self.watch.lost()
        self.pass_time(PATIENCE_S + TOOK_S + 600)
        self.watch.reached()
        (found,) = self.told
        self.assertEqual(found.reason, "unreachable")
        self.pass_time(AGAIN_S + TOOK_S + 1)
        self.assertEqual([one.reason for one in self.told][1:], ["daily"])

    def test_a_crowd_behind_one_address_is_no_finding(self) -> None:
        """The server limits checks by address; who was turned away comes again, and
        what was found before stays. Who asked is told."""
        self.watch.reached()
        self.pass_time(60)
        good, check = (
            self.watch.latest,
            Check(name="rest", outcome="degraded", data={"limited": True}),
        )
        self.report = msgspec.structs.replace(REPORT, checks=(check,))
        asked = Deferred.fromCoroutine(self.watch.check("asked"))
        self.pass_time(TOOK_S + 1)
        self.assertIn("too often", str(self.failureResultOf(asked, CheckFailed).value))
        self.assertIs(self.watch.latest, good)
        self.report = REPORT
        self.pass_time(APART_S + TOOK_S)
        self.assertEqual([one.reason for one in self.told], ["enrolled", "daily"])

    def test_what_could_not_be_told_is_told_later(self) -> None:
        """But not for ever to a server that knows no such thing."""
        self.refusal = NoAnswer("server", "timeout", stage="tcp")
        self.watch.reached()
        self.pass_time(60)
        self.assertEqual(self.told, [])
        self.refusal = CallRefused(503, "", "stopping")
        self.watch.reached()
        self.refusal = None
        self.watch.reached()
        self.assertEqual(len(self.told), 1)
        self.refusal = CallRefused(404, "", "no such call")
        Deferred.fromCoroutine(self.watch.check("local"))
        self.pass_time(TOOK_S + 1)
        assert self.watch.latest is not None
        self.assertTrue(self.watch.latest.told)


class AskedTests(WatchCase):
    """Somebody asks."""

    def ask(self, reason: str = "asked") -> Deferred[Found]:
        """Now."""
        return Deferred.fromCoroutine(self.watch.check(reason))

    def test_who_asks_meanwhile_gets_the_same(self) -> None:
        """One at a time; the server has it before the answer."""
        self.watch.reached()
        first, second = self.ask(), self.ask("local")
        self.assertTrue(self.watch.running)
        self.pass_time(TOOK_S)
        found = self.successResultOf(first)
        self.assertIs(self.successResultOf(second), found)
        self.assertEqual((len(self.made), self.told), (1, [found]))
        self.assertEqual(found.words, "degraded: UDP is blocked.")
        self.assertFalse(self.watch.running)

    def test_in_a_meeting_nothing_is_measured_and_that_is_said(self) -> None:
        """Also when it begins while the check is under way."""
        done = self.ask()
        self.busy = True
        self.pass_time(TOOK_S)
        self.assertTrue(self.successResultOf(done).quick)

    def test_a_stop_ends_it(self) -> None:
        """Nobody waits for ever, and nothing begins any more."""
        done = self.ask()
        self.watch.stop()
        self.failureResultOf(done, CheckFailed)
        self.failureResultOf(self.ask(), CheckFailed)
        self.watch.lost()
        self.pass_time(APART_S)
        self.assertEqual((len(self.made), self.clock.getDelayedCalls()), (1, []))

    def test_a_check_that_never_ends_is_given_up(self) -> None:
        """And logged; the next may be better."""

        async def never(quick: Any) -> Report:
            await Deferred()
            return REPORT

        self.watch._check = never
        self.watch.reached()
        done = self.ask()
        self.pass_time(LIMIT_S + 1)
        self.failureResultOf(done, CheckFailed)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.assertFalse(self.watch.running)
        self.pass_time(APART_S - LIMIT_S)
        self.assertFalse(self.watch.running)  # not at once again

    def test_a_full_disk_stops_nothing(self) -> None:
        """The server still hears of it."""

        def full(found: Found) -> None:
            raise OSError(28, "No space left on device")

        self.watch._file.save = full  # type: ignore[method-assign]
        self.watch.reached()
        done = self.ask()
        self.pass_time(TOOK_S)
        self.assertEqual(self.told, [self.successResultOf(done)])


class FileTests(SynchronousTestCase):
    """What is kept, and what is told."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = FoundFile(self.folder)
        self.found = Found(
            server=SERVER, at=100.0, reason="daily", quick=False, report=REPORT
        )

    def test_it_lasts_for_this_server(self) -> None:
        """At another one the hub is new."""
        self.file.save(self.found)
        self.assertEqual(self.file.load(SERVER), self.found)
        self.assertIsNone(self.file.load("https://other.example.org"))
        self.assertEqual((self.folder / "network.json").stat().st_mode & 0o777, 0o600)

    @given(st.binary(max_size=300))
    def test_any_file_is_safe(self, content: bytes) -> None:
        """A broken one is none."""
        (self.folder / "network.json").write_bytes(content)
        self.assertIsNone(self.file.load(SERVER))

    @given(st.text(max_size=1000), st.integers(0, 200), st.floats(-1e6, 1e6), st.text())
    def test_whatever_was_found_the_server_takes_it(
        self, text: str, count: int, now: float, name: str
    ) -> None:
        """Strangers put words into it: names in certificates, portals, proxies."""
        check = Check(
            name=name, outcome="blocked", stage=text, detail=text, advice=text
        )
        verdict = Verdict(capability=text, outcome="blocked", advice=text)
        report = msgspec.structs.replace(
            REPORT, via=text, verdicts=(verdict,) * count, checks=(check,) * count
        )
        found = msgspec.structs.replace(self.found, report=report)
        body = msgspec.json.encode(as_reported(found, now=now))
        msgspec.json.decode(body, type=NetworkResult)
