"""A reactor for tests of threads: results wait until the test takes them.

Real threads do the work; the test's own thread plays the reactor, so nothing
sleeps and no reactor runs.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")

PATIENCE_S = 30.0


@implementer(IReactorTime, IReactorFromThreads)
class PumpedReactor(Clock):
    """Clock's timers, and callFromThread into a queue."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        """Keep the call for turn()."""
        self._calls.put(lambda: callable(*args, **kwargs))

    def turn(self) -> None:
        """Wait for one call from a thread and make it."""
        self._calls.get(timeout=PATIENCE_S)()

    def result(self, deferred: Deferred[T]) -> T:
        """Turn until the Deferred fires; its value, or its exception raised."""
        outcomes: list[T | Failure] = []
        deferred.addBoth(outcomes.append)
        while not outcomes:
            self.turn()
        outcome = outcomes[0]
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome
