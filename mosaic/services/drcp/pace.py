"""Rates: how fast one connection may talk, how often a document flushes."""

from __future__ import annotations

from dataclasses import dataclass

MIN_TICK_S = 0.016
MAX_TICK_S = 0.050
SHARE = 24
"""A document flushes for one part in so many of the time, until MAX_TICK_S."""

MAX_PAUSE_S = 5.0
_ROUNDING_S = 1e-9


class TokenBucket:
    """Messages and bytes of one connection.

    take() gives the seconds to stop reading for (0: go on), or None when the
    peer owes more than another whole burst of messages: it ignores the pause.
    Kept as two times: when all that came so far would have been paid for at
    the allowed rate (the "virtual scheduling" of ITU-T I.371).
    """

    __slots__ = (
        "_burst_s", "_byte_s", "_bytes_paid", "_message_s", "_messages_paid",
    )  # fmt: skip

    def __init__(
        self, *, messages_per_s: float, burst: int, bytes_per_s: float, now: float
    ) -> None:
        self._message_s = 1 / messages_per_s
        self._burst_s = burst / messages_per_s + _ROUNDING_S
        self._byte_s = 1 / bytes_per_s
        self._messages_paid = self._bytes_paid = now

    def take(self, size_bytes: int, now: float) -> float | None:
        """Pay for one message."""
        messages, read = self._messages_paid, self._bytes_paid
        messages = (messages if messages > now else now) + self._message_s
        # One large message is no flood: it costs a pause of five seconds at most.
        cost_s = size_bytes * self._byte_s
        if cost_s > MAX_PAUSE_S:
            cost_s = MAX_PAUSE_S
        read = (read if read > now else now) + cost_s
        self._messages_paid, self._bytes_paid = messages, read
        owed_s = messages - now - self._burst_s
        if owed_s > self._burst_s:
            return None
        # The bytes of one second are the burst of bytes.
        if read - now - 1 > owed_s:
            owed_s = read - now - 1
        if owed_s <= 0:
            return 0.0
        return owed_s if owed_s < MAX_PAUSE_S else MAX_PAUSE_S


@dataclass(slots=True)
class Pace:
    """Shared by all documents: how many have a flush due, and so the tick.

    A large room, and a busy process, tick more slowly: what they cost stays
    a bounded share of the time, and every document gets its turn.
    """

    due: int = 0

    def tick_s(self, cost_s: float) -> float:
        """The time between two flushes of one document that cost so much."""
        wanted = SHARE * cost_s * max(1, self.due)
        return min(MAX_TICK_S, max(MIN_TICK_S, wanted))
