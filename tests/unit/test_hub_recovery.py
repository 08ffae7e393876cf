"""The two steps of a call, on a clock of its own."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.media.recovery import (
    CONNECT_S,
    FIRST_REPEAT_S,
    POLITE_EXTRA_S,
    RELAY_S,
    Recovery,
)


class RecoveryTests(SynchronousTestCase):
    """Any way for four seconds, then by relay alone, then that again."""

    def ladder(self, *, polite: bool = False) -> tuple[Clock, Recovery, list[str]]:
        """A clock, the ladder, and what it did."""
        clock, done = Clock(), list[str]()
        recovery = Recovery(
            clock,
            polite=polite,
            by_relay=lambda: done.append("relay"),
            failed=lambda: done.append("failed"),
        )
        return clock, recovery, done

    def test_relay_after_four_seconds(self) -> None:
        """A direct path connects within them or hardly ever."""
        clock, recovery, done = self.ladder()
        recovery.started()
        clock.advance(CONNECT_S - 0.01)
        recovery.started()  # more signals do not start the clock again
        self.assertEqual(done, [])
        clock.advance(0.01)
        self.assertEqual(done, ["relay"])

    def test_the_polite_side_waits_for_the_other(self) -> None:
        """Both have the same clock: one would undo what the other did."""
        clock, recovery, done = self.ladder(polite=True)
        recovery.started()
        clock.advance(CONNECT_S)
        recovery.renewed(relay=True)  # the other's
        clock.advance(POLITE_EXTRA_S + RELAY_S - 0.01)
        self.assertEqual(done, [])

    def test_it_says_so_and_goes_on(self) -> None:
        """When the relay does not do either: failed, and again in a while."""
        clock, recovery, done = self.ladder()
        recovery.started()
        clock.pump([CONNECT_S, RELAY_S])
        self.assertEqual(done, ["relay", "failed"])
        clock.advance(FIRST_REPEAT_S)
        self.assertEqual(done, ["relay", "failed", "relay"])
        clock.pump([RELAY_S, 2 * FIRST_REPEAT_S - 0.01])
        self.assertEqual(done, ["relay", "failed", "relay", "failed"])
        clock.advance(0.01)
        self.assertEqual(done[-1], "relay")

    def test_connected_ends_it(self) -> None:
        """And the next trouble begins at the first step."""
        clock, recovery, done = self.ladder()
        recovery.started()
        clock.advance(CONNECT_S)
        recovery.connected()
        clock.advance(1000)
        self.assertEqual(done, ["relay"])
        recovery.broken()
        clock.advance(1.0)
        self.assertEqual(done, ["relay", "relay"])

    def test_stopped_while_signals_are_away(self) -> None:
        """A repair could not be agreed upon; nothing stays on the clock."""
        clock, recovery, done = self.ladder()
        recovery.started()
        recovery.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual(done, [])
