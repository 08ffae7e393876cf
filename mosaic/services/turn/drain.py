"""Waiting for allocations to end before the relay closes."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Drain:
    """`over` fires once: when nothing remains, or when the time is up."""

    def __init__(self, reactor: IReactorTime, drain_s: float) -> None:
        self.over: Deferred[None] = Deferred()
        self._timer: IDelayedCall | None = reactor.callLater(drain_s, self._end)

    def remaining(self, count: int) -> None:
        """How many allocations stand now."""
        if count == 0 and self._timer is not None:
            self._timer.cancel()
            self._end()

    def cancel(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        self.over.callback(None)
