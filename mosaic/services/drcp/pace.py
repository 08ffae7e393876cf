"""Rates: how fast one connection may talk, how often a document flushes."""

from __future__ import annotations

from dataclasses import dataclass

MIN_TICK_S = 0.008
MAX_TICK_S = 0.050
MAX_PAUSE_S = 5.0


class TokenBucket:
    """Messages and bytes of one connection.

    take() gives the seconds to stop reading for (0: go on), or None when the
    peer owes more than another whole burst of messages: it ignores the pause.
    """

    __slots__ = ("_burst", "_byte_rate", "_bytes", "_messages", "_rate", "_seen")

    def __init__(
        self, *, messages_per_s: float, burst: int, bytes_per_s: float, now: float
    ) -> None:
        self._rate = messages_per_s
        self._burst = float(burst)
        self._byte_rate = bytes_per_s
        self._messages = self._burst
        self._bytes = bytes_per_s
        self._seen = now

    def take(self, size_bytes: int, now: float) -> float | None:
        """Pay for one message."""
        passed = max(0.0, now - self._seen)
        self._seen = now
        self._messages = min(self._burst, self._messages + passed * self._rate) - 1
        # One large message is no flood: it costs a pause of five seconds at most.
        cost = min(float(size_bytes), MAX_PAUSE_S * self._byte_rate)
        self._bytes = (
            min(self._byte_rate, self._bytes + passed * self._byte_rate) - cost
        )
        if self._messages < -self._burst:
            return None
        owed = max(-self._messages / self._rate, -self._bytes / self._byte_rate)
        return min(MAX_PAUSE_S, owed) if owed > 0 else 0.0


@dataclass(slots=True)
class Pace:
    """Shared by all documents: how many have a flush due, and so the tick.

    A busy process ticks more slowly before it loses fairness.
    """

    due: int = 0

    def tick_s(self, last_cost_s: float) -> float:
        """The time between two flushes of one document."""
        wanted = 2 * last_cost_s * max(1, self.due)
        return min(MAX_TICK_S, max(MIN_TICK_S, wanted))
