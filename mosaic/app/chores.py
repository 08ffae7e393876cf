"""What has to be done from time to time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_log = Logger()

Chore = Callable[[], Awaitable[object] | None]
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Chores(Service):
    """Runs each chore again and again; one that fails is logged and goes on.

    clock: the reactor's.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._chores: list[tuple[float, str, Chore]] = []
        self._loops: list[LoopingCall] = []

    def every(self, interval_s: float, what: str, chore: Chore) -> None:
        """Do it after each interval, for the first time after one."""
        self._chores.append((interval_s, what, chore))

    def startService(self) -> None:
        """Begin to wait."""
        super().startService()
        for interval_s, what, chore in self._chores:
            loop = LoopingCall(_guarded, what, chore)
            loop.clock = self._clock
            loop.start(interval_s, now=False)
            self._loops.append(loop)

    def stopService(self) -> None:
        """Wait no more."""
        for loop in self._loops:
            if loop.running:
                loop.stop()
        self._loops.clear()
        super().stopService()


def _guarded(what: str, chore: Chore) -> Deferred[None]:
    async def run() -> None:
        waiting = chore()
        if waiting is not None:
            await waiting

    done = Deferred.fromCoroutine(run())
    done.addErrback(
        lambda failure: _log.failure("{what} failed", failure=failure, what=what)
    )
    return done
