"""Start and stop in order, and what is reloaded."""

from __future__ import annotations

from functools import partial

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.house import House, Readiness
from mosaic.app.listeners import services_by_endpoint
from mosaic.app.reload import Reloader
from mosaic.config.errors import ConfigError
from mosaic.config.settings import Endpoints, Settings, Turn


class FakeReactor:
    """Remembers what the house asked of it."""

    def __init__(self) -> None:
        self.triggers: list[object] = []
        self.stopped = False

    def addSystemEventTrigger(self, *args: object) -> None:
        """Remember the trigger."""
        self.triggers.append(args)

    def callWhenRunning(self, call: object) -> None:
        """It runs: do it."""
        call()  # type: ignore[operator]

    def stop(self) -> None:
        """Stop."""
        self.stopped = True


class HouseTests(SynchronousTestCase):
    """Stages start in order and stop in the opposite one."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.readiness = Readiness()
        self.house = House(self.reactor, readiness=self.readiness)
        self.events: list[str] = []

    def add(self, name: str, fail: bool = False) -> None:
        """A stage that notes what happens to it."""

        async def start() -> None:
            if fail:
                raise ConfigError("endpoints.rest", "no such port")
            self.events.append(f"+{name}")

        async def stop() -> None:
            self.events.append(f"-{name}")

        self.house.add_stage(name, start, stop)

    def test_order(self) -> None:
        """What began last ends first; ready only in between."""
        for name in "abc":
            self.add(name)
        self.house.startService()
        self.assertIsNone(self.readiness())
        self.successResultOf(self.house.stopService())
        self.assertEqual(self.readiness(), "draining")
        self.assertEqual(self.events, ["+a", "+b", "+c", "-c", "-b", "-a"])

    def test_what_takes_its_time_begins_first(self) -> None:
        """Its drain runs while the others close."""
        self.add("a")
        stage = self.house._stages.pop()
        begin = partial(self.events.append, "~a")
        self.house.add_stage("a", stage.start, stage.stop, begin)
        self.add("b")
        self.house.startService()
        self.successResultOf(self.house.stopService())
        self.assertEqual(self.events, ["+a", "+b", "~a", "-b", "-a"])

    def test_a_stage_that_fails_stops_the_process(self) -> None:
        """With what began before it ended in order, and a status that says so."""
        self.add("a")
        self.add("b", fail=True)
        self.add("c")
        self.house.startService()
        self.flushLoggedErrors(ConfigError)
        self.assertTrue(self.reactor.stopped)
        self.assertEqual(len(self.reactor.triggers), 1)
        self.assertIsNotNone(self.readiness())
        self.successResultOf(self.house.stopService())
        self.assertEqual(self.events, ["+a", "-a"])

    def test_a_stop_waits_for_a_start_under_way(self) -> None:
        """Nothing is left half built."""
        gate: Deferred[None] = Deferred()

        async def start() -> None:
            await gate
            self.events.append("+slow")

        async def stop() -> None:
            self.events.append("-slow")

        self.house.add_stage("slow", start, stop)
        self.house.startService()
        stopped = self.house.stopService()
        self.assertNoResult(stopped)
        gate.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.events, ["+slow", "-slow"])


class EndpointTests(SynchronousTestCase):
    """Services that are given the same string share that port."""

    def test_defaults_share_one_port(self) -> None:
        """Four services behind the TLS port, datagrams apart."""
        plan = services_by_endpoint(Endpoints())
        self.assertEqual(plan["mosaic-tls:8443"], {"rest", "drcp", "xmpp", "turn_tls"})
        self.assertNotIn("udp:3478", plan)


class ReloadTests(SynchronousTestCase):
    """What can change while it runs, changes; the rest is named."""

    def test_applies_and_remembers(self) -> None:
        """A second reload with the same file changes nothing."""
        fresh = Settings(log_level="debug", turn=Turn(realm="new"))
        applied: list[str] = []
        reloads: list[int] = []

        def certificates() -> list[Exception]:
            reloads.append(1)
            return []

        reloader = Reloader(
            Settings(),
            read=lambda: fresh,
            appliers={"log_level": applied.append},
            files=(certificates,),
        )
        reloader.reload()
        reloader.reload()
        self.assertEqual(applied, ["debug"])
        self.assertEqual(len(reloads), 2)

    def test_a_file_that_is_wrong_changes_nothing(self) -> None:
        """The server goes on with what it has."""

        def read() -> Settings:
            raise ConfigError("x", "wrong")

        applied: list[str] = []
        Reloader(
            Settings(),
            read=read,
            appliers={"log_level": applied.append},
            files=(list,),
        ).reload()
        self.assertEqual(applied, [])
        self.assertEqual(msgspec.structs.asdict(Settings())["log_level"], "info")
