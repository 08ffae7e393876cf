"""Worker processes under the reactor: what one says, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.export.jobs import (
    Said,
    WorkFailed,
    WorkRefused,
    read_job,
    read_said,
    worker_command,
    worker_environment,
)

MAX_LINE_BYTES = 65536
MAX_ERRORS_BYTES = 8192

_log = Logger()
Told = Callable[[Said], None]


class Worker(Protocol):
    """Does a job; one at a time is asked of it."""

    def run(self, folder: Path, told: Told) -> Deferred[None]:
        """Do the job of a folder.

        Fires when it is done; fails with WorkRefused or WorkFailed. told: of
        progress. cancel() ends the work.
        """


class WorkerProcesses:
    """Workers as child processes. reactor: spawns them and has the time."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def run(self, folder: Path, told: Told) -> Deferred[None]:
        """Start a child; it is killed when its time is up."""
        seconds = read_job(folder).limits.seconds
        ended: Deferred[None] = Deferred(lambda _: child.stop("it was cancelled"))
        child = _Child(ended, told)
        command = worker_command(folder)
        self._reactor.spawnProcess(
            child,
            command[0],
            command,
            env=worker_environment(),
            path=str(folder),
            childFDs={0: "w", 1: "r", 2: "r"},
        )
        child.alarm = self._reactor.callLater(
            seconds, child.stop, f"it took more than {seconds:g} seconds"
        )
        return ended


class _Child(ProcessProtocol):
    """Reads what the worker prints. ended: told once, when it is reaped."""

    transport: Any

    def __init__(self, ended: Deferred[None], told: Told) -> None:
        self._ended = ended
        self._told = told
        self._rest = b""
        self._errors = b""
        self._last: Said | None = None
        self._stopped = ""
        self.alarm: IDelayedCall | None = None

    def outReceived(self, data: bytes) -> None:
        """Lines of progress; the last one says how it ended."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            self.stop("it printed what it should not")
            return
        for line in lines:
            said = read_said(line)
            if said is not None:
                self._last = said
                self._told(said)

    def errReceived(self, data: bytes) -> None:
        """For the log, the end of it."""
        self._errors = (self._errors + data)[-MAX_ERRORS_BYTES:]

    def stop(self, why: str) -> None:
        """Kill it; why is told to whoever waits."""
        self._stopped = self._stopped or why
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    def processEnded(self, reason: Failure) -> None:
        """It is gone: say how."""
        if self.alarm is not None and self.alarm.active():
            self.alarm.cancel()
        ended, last = self._ended, self._last
        if ended.called:
            return
        if self._stopped:
            ended.errback(WorkFailed(f"the work was stopped: {self._stopped}"))
        elif last is not None and last.refused:
            ended.errback(WorkRefused(last.refused))
        elif last is not None and last.done and isinstance(reason.value, ProcessDone):
            ended.callback(None)
        else:
            _log.error(
                "an export worker broke down: {reason}\n{errors}",
                reason=reason.getErrorMessage(),
                errors=self._errors.decode("utf-8", "replace"),
            )
            ended.errback(WorkFailed("the worker broke down; nothing was changed"))
