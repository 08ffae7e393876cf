"""Chores come round, and one that fails harms neither itself nor others."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.chores import Chores


class ChoreTests(SynchronousTestCase):
    """On a clock of the test's own."""

    def test_each_at_its_interval_until_the_end(self) -> None:
        """The first time is after one interval, not at start."""
        clock = Clock()
        done: list[str] = []
        chores = Chores(clock)
        chores.every(10, "sweep", lambda: done.append("sweep"))
        chores.every(25, "polish", lambda: done.append("polish"))
        chores.startService()
        self.assertEqual(done, [])
        clock.pump([5] * 5)
        self.assertEqual(done, ["sweep", "sweep", "polish"])
        chores.stopService()
        clock.advance(100)
        self.assertEqual(len(done), 3)

    def test_a_failure_is_logged_and_it_comes_round_again(self) -> None:
        """A full disk at noon must not end the sweeping for ever."""
        clock = Clock()
        tries: list[int] = []

        async def fail() -> None:
            tries.append(1)
            raise OSError("disk full")

        chores = Chores(clock)
        chores.every(1, "sweep", fail)
        chores.startService()
        clock.pump([1, 1])
        self.assertEqual(len(tries), 2)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)
        chores.stopService()
