"""Token buckets: so many requests a second, with a burst, for each caller."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from mosaic.auth.interface import TryLater

MAX_BUCKETS = 10_000
"""Callers remembered; the one that was heard longest ago is forgotten first."""


class RateLimit:
    """Buckets that fill at `per_s` up to `burst`, one for each key.

    seconds: the clock that timers use. Memory is bounded: a forgotten caller
    starts with a full bucket again.
    """

    def __init__(
        self,
        *,
        per_s: float,
        burst: int,
        seconds: Callable[[], float],
        max_buckets: int = MAX_BUCKETS,
    ) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._seconds = seconds
        self._max = max_buckets
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._buckets

    def take(self, key: Hashable) -> None:
        """Spend one request of the key's bucket; TryLater when it is empty."""
        now = self._seconds()
        level = self._level(key, now)
        if level < 1.0:
            raise TryLater((1.0 - level) / self._per_s)
        self._put(key, level - 1.0, now)

    def give_back(self, key: Hashable) -> None:
        """Undo one take()."""
        now = self._seconds()
        self._put(key, min(self._burst, self._level(key, now) + 1.0), now)

    def _level(self, key: Hashable, now: float) -> float:
        level, at = self._buckets.get(key, (self._burst, now))
        return min(self._burst, level + max(0.0, now - at) * self._per_s)

    def _put(self, key: Hashable, level: float, now: float) -> None:
        self._buckets[key] = (level, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
