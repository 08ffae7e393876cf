"""Token buckets: rate, burst, and bounded memory."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.interface import TryLater
from mosaic.services.rest.ratelimit import RateLimit


class RateLimitTests(SynchronousTestCase):
    """A clock that only the test moves."""

    def setUp(self) -> None:
        """Two a second, three at once, two callers remembered."""
        self.clock = Clock()
        self.limit = RateLimit(
            per_s=2.0, burst=3, seconds=self.clock.seconds, max_buckets=2
        )

    def take(self, key: str, times: int) -> None:
        """Spend."""
        for _ in range(times):
            self.limit.take(key)

    def test_burst_then_rate(self) -> None:
        """After the burst, one more comes every half second."""
        self.take("a", 3)
        error = self.assertRaises(TryLater, self.limit.take, "a")
        self.assertEqual(error.retry_after_s, 0.5)
        self.clock.advance(0.5)
        self.take("a", 1)
        self.assertRaises(TryLater, self.limit.take, "a")

    def test_buckets_do_not_overflow(self) -> None:
        """A long silence saves up no more than one burst."""
        self.take("a", 1)
        self.clock.advance(1000)
        self.take("a", 3)
        self.assertRaises(TryLater, self.limit.take, "a")

    def test_callers_do_not_share(self) -> None:
        """One caller's flood is not another's."""
        self.take("a", 3)
        self.take("b", 3)

    def test_giving_back(self) -> None:
        """A request that was counted for somebody else is uncounted."""
        self.take("a", 3)
        self.limit.give_back("a")
        self.take("a", 1)
        self.assertRaises(TryLater, self.limit.take, "a")

    def test_memory_is_bounded(self) -> None:
        """The one heard longest ago is forgotten."""
        self.take("a", 1)
        self.take("b", 1)
        self.take("c", 1)
        self.assertNotIn("a", self.limit)
        self.assertIn("b", self.limit)
        self.assertIn("c", self.limit)
