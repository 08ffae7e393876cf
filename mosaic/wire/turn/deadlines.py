"""When allocations end: a queue with the first end of each."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator

from mosaic.wire.turn.allocation import Allocation


class Deadlines:
    """Holds each allocation once, at its first end or before: what comes up
    early goes back.

    standing: a view of all allocations that stand, to tidy up by.
    """

    def __init__(self, standing: Collection[Allocation]) -> None:
        self._standing = standing
        self._queued: list[tuple[float, int, Allocation]] = []

    def __len__(self) -> int:
        return len(self._queued)

    def live_until(
        self, allocation: Allocation, expires_at: float, family: int | None = None
    ) -> None:
        """Set the end of one half, or of all."""
        for half in allocation.halves:
            if family is None or half.family == family:
                half.expires_at = expires_at
        if not allocation.queued_at or expires_at < allocation.queued_at:
            self.queue(allocation)

    def queue(self, allocation: Allocation) -> None:
        """Put it at its first end."""
        allocation.queued_at = allocation.first_end
        entry = (allocation.queued_at, allocation.relay, allocation)
        heapq.heappush(self._queued, entry)
        if len(self._queued) > 2 * len(self._standing) + 64:
            self._queued = [
                (held.queued_at, held.relay, held) for held in self._standing
            ]
            heapq.heapify(self._queued)

    def forget(self, allocation: Allocation) -> None:
        """It has ended; its place in the queue means nothing any more."""
        allocation.queued_at = -1.0

    def come_up(self, now: float) -> Iterator[Allocation]:
        """Take out those whose place has come, one by one: each has ended, or is
        queued again before the next is asked for."""
        while self._queued and self._queued[0][0] <= now:
            queued_at, _, allocation = heapq.heappop(self._queued)
            if allocation.queued_at == queued_at:
                yield allocation

    def next(self) -> float | None:
        """The first place in the queue that is still somebody's."""
        while self._queued:
            queued_at, _, allocation = self._queued[0]
            if allocation.queued_at == queued_at:
                return queued_at
            heapq.heappop(self._queued)
        return None
