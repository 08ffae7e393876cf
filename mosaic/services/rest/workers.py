"""Worker processes under the reactor: what one says, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mosaic.export.child import Child
from mosaic.export.jobs import (
    Said,
    WorkFailed,
    WorkRefused,
    read_job,
    read_said,
    worker_command,
)

MAX_LINE_BYTES = 65536

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
        child.spawn(self._reactor, command, path=str(folder), seconds=seconds)
        return ended


class _Child(Child):
    """Reads what the worker prints. ended: told once, when it is reaped."""

    name = "an export worker"

    def __init__(self, ended: Deferred[None], told: Told) -> None:
        super().__init__()
        self._ended = ended
        self._told = told
        self._rest = b""
        self._last: Said | None = None

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

    def was_stopped(self, why: str) -> None:
        """Killed; who cancelled the work knows already."""
        if not self._ended.called:
            self._ended.errback(WorkFailed(f"the work was stopped: {why}"))

    def has_ended(self, reason: Failure) -> None:
        """Say how."""
        ended, last = self._ended, self._last
        if ended.called:
            return
        if last is not None and last.refused:
            ended.errback(WorkRefused(last.refused))
        elif last is not None and last.done and self.is_well(reason):
            ended.callback(None)
        else:
            self.log_end(reason)
            ended.errback(WorkFailed("the worker broke down; nothing was changed"))
