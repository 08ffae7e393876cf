"""The house: everything that starts and stops together, in order."""

from __future__ import annotations

# Twisted's services have no annotations.
# mypy: allow-untyped-calls
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

_log = Logger()

Step = Callable[[], Awaitable[None]]


def _at_once() -> None:
    """Most stages need no time to prepare for their end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the start, and what undoes it at the end.

    begin_stop: called before any stage stops, so that what takes its time does
    so beside the others.
    """

    name: str
    start: Step
    stop: Step
    begin_stop: Callable[[], None] = _at_once


@dataclass(slots=True)
class Readiness:
    """What /readyz asks."""

    ready: bool = False
    reason: str = "starting"
    began_stages: list[Stage] = field(default_factory=list)

    def __call__(self) -> str | None:
        """Why not, or None."""
        return None if self.ready else self.reason


class House(MultiService):
    """Starts its stages in order, stops them in the opposite order.

    reactor: stopped, with exit status 1, when a stage fails to start.
    observer: given to the twistd application as its log, unless None.
    on_running: called when every stage stands.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        observer: ILogObserver | None = None,
        readiness: Readiness,
        on_running: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._observer = observer
        self.readiness = readiness
        self._on_running = on_running
        self._stages: list[Stage] = []
        self._starting: Deferred[None] | None = None

    def add_stage(
        self,
        name: str,
        start: Step,
        stop: Step,
        begin_stop: Callable[[], None] = _at_once,
    ) -> None:
        """Add a step after those already there."""
        stage = Stage(name=name, start=start, stop=stop, begin_stop=begin_stop)
        self._stages.append(stage)

    def add_service_stage(
        self, name: str, service: IService, begin_stop: Callable[[], None] = _at_once
    ) -> None:
        """A Twisted service as a stage; its Deferreds are waited for."""

        async def start() -> None:
            await _finished(service.startService())

        async def stop() -> None:
            await _finished(service.stopService())

        self.add_stage(name, start, stop, begin_stop)

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and bring our log format along."""
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Begin; the stages follow as the reactor turns."""
        super().startService()
        self._starting = ensureDeferred(self._start())
        self._starting.addErrback(self._give_up)

    async def _start(self) -> None:
        for stage in self._stages:
            await stage.start()
            self.readiness.began_stages.append(stage)
        self.readiness.ready = True
        self._on_running()

    def _give_up(self, failure: Failure) -> None:
        names = [stage.name for stage in self._stages]
        stage = names[len(self.readiness.began_stages)]
        sys.stderr.write(f"mosaic: {stage}: {failure.getErrorMessage()}\n")
        _log.failure("{stage} could not start", failure=failure, stage=stage)
        self.readiness.reason = f"{stage} could not start"
        exit_with(self._reactor, 1)

    def stopService(self) -> Deferred[None]:
        """Drain and stop what started; fires when all of it has ended."""
        self.readiness.ready = False
        self.readiness.reason = "draining"
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self._starting is not None:
            await self._starting
        for stage in self.readiness.began_stages:
            stage.begin_stop()
        while self.readiness.began_stages:
            stage = self.readiness.began_stages.pop()
            try:
                await stage.stop()
            except Exception:
                _log.failure("{stage} did not stop cleanly", stage=stage.name)
        await _finished(super().stopService())


async def _finished(result: Any) -> None:
    if isinstance(result, Deferred):
        await result


def exit_with(reactor: Any, status: int) -> None:
    """Stop the reactor and end the process with this status.

    twistd has no way to say it: its own exit status is 0 after any stop.
    """

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    reactor.addSystemEventTrigger("after", "shutdown", leave)
    # A failure before the reactor runs is told when it does.
    reactor.callWhenRunning(reactor.stop)


def start_task(work: Coroutine[Any, Any, Any], what: str) -> None:
    """Run a coroutine that nobody waits for; log its failure."""
    ensureDeferred(work).addErrback(
        lambda failure: _log.failure("{what} failed", failure=failure, what=what)
    )
