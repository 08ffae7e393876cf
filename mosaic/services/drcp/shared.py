"""One piece of work, many waiters; and coroutines that nobody awaits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")
_log = Logger()


def spawn(work: Coroutine[Any, Any, T], what: str) -> Deferred[T | None]:
    """Run a coroutine; its failure is logged with what it was for."""
    started: Deferred[T | None] = Deferred.fromCoroutine(work)

    def failed(failure: Failure) -> None:
        _log.failure("{what} failed", failure=failure, what=what)

    started.addErrback(failed)
    return started


class Shared(Generic[T]):
    """Starts its work once; everybody who asks gets the same result."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._waiters: list[Deferred[T]] | None = None
        self._result: T | Failure | None = None
        self.done = False

    def get(self) -> Deferred[T]:
        """Fires with the result, now or later."""
        waiter: Deferred[T] = Deferred()
        if self.done:
            waiter.callback(self._result)  # type: ignore[arg-type]  # a Failure becomes an errback
            return waiter
        if self._waiters is None:
            self._waiters = [waiter]
            Deferred.fromCoroutine(self._work()).addBoth(self._finish)
        else:
            self._waiters.append(waiter)
        return waiter

    def _finish(self, result: T | Failure) -> None:
        self._result = result
        self.done = True
        waiters, self._waiters = self._waiters or [], None
        for waiter in waiters:
            waiter.callback(result)
