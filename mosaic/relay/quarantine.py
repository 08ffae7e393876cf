"""Relay ports that have just been freed rest before they serve somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

QUARANTINE_S = 30.0


class Quarantine:
    """Remembers ports from their end until their rest is over.

    Peers of the old allocation go on sending for a while; whoever got the
    port at once would get their packets. The rest is a preference: when no
    other port is free the longest rested one is taken, so that a client who
    makes and ends allocations quickly cannot use up the range for others.
    Memory is bounded by the port range.
    """

    def __init__(self, rest_s: float, clock: Callable[[], float]) -> None:
        self._rest_s = rest_s
        self._clock = clock
        self._until: dict[int, float] = {}

    def freed(self, port: int) -> None:
        """A port has become free."""
        if self._rest_s > 0:
            self._until.pop(port, None)
            self._until[port] = self._clock() + self._rest_s

    def rests(self, port: int) -> bool:
        """Whether it had better not be used yet."""
        if not self._until:
            return False
        now = self._clock()
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now:
                break
            del self._until[oldest]
        return port in self._until

    def longest_rested(self) -> Iterator[int]:
        """The resting ports, the one freed first before the others."""
        return iter(tuple(self._until))

    def taken(self, port: int) -> None:
        """It is used in spite of its rest."""
        self._until.pop(port, None)
