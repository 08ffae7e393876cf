"""How late the reactor is: the first sign of a server that has too much to do."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

EVERY_S = 0.5


class ReactorLag:
    """Asks to be called in half a second, and reports how much later it was.

    clock: the reactor, on the monotonic clock. report: told seconds.
    """

    def __init__(self, clock: IReactorTime, report: Callable[[float], None]) -> None:
        self._clock = clock
        self._report = report
        self._call: IDelayedCall | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin to measure."""
        if self._call is None:
            self._plan()

    def stop(self) -> None:
        """Leave no timer behind."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _plan(self) -> None:
        self._due = self._clock.seconds() + EVERY_S
        self._call = self._clock.callLater(EVERY_S, self._called)

    def _called(self) -> None:
        self._report(self._clock.seconds() - self._due)
        self._plan()
