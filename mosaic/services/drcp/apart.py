"""Long work on whole documents, in a process apart from the meetings.

pycrdt holds Python's lock while it works, so that a thread would not help; and a
document that makes it panic does so elsewhere.
"""

# Twisted's process transports are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, maybeDeferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.export.jobs import worker_environment
from mosaic.services.drcp.reckoner import read_answer, write_order
from mosaic.services.drcp.replica import CrdtError, guarded
from mosaic.workspace.tasks import Outcome, Task, perform
from mosaic.workspace.versions import NotRestored

_log = Logger()

SMALL_BYTES = 16384
"""States of together so many bytes take a few milliseconds."""
AT_ONCE = 2
"""So many children at a time; the others wait."""
MAX_ERRORS_BYTES = 8192

Apart = Callable[[Task, tuple[bytes, ...]], Deferred[Outcome]]
"""Does a task on states. Fails with NotRestored or CrdtError."""


def here(task: Task, states: tuple[bytes, ...]) -> Deferred[Outcome]:
    """In this process, before it returns."""
    return maybeDeferred(guarded, perform, task, states, random_number)


class Processes:
    """Children of this process, one for each task that is not small.

    reactor: spawns them and has the time.
    """

    def __init__(self, reactor: Any, *, seconds: float, memory_bytes: int) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._turn = DeferredSemaphore(AT_ONCE)
        self._children: set[_Child] = set()
        self._stopping = False

    def __call__(self, task: Task, states: tuple[bytes, ...]) -> Deferred[Outcome]:
        """See Apart."""
        if sum(map(len, states)) <= SMALL_BYTES:
            return here(task, states)
        return self._turn.run(self._start, task, states)

    def stop(self) -> None:
        """The server ends: nobody waits any more."""
        self._stopping = True
        for child in list(self._children):
            child.stop("the server is stopping")

    def _start(self, task: Task, states: tuple[bytes, ...]) -> Deferred[Outcome]:
        if self._stopping:
            raise CrdtError("the server is stopping", panicked=False)
        order = write_order(
            task,
            states,
            seconds=int(self._seconds) + 1,
            memory_bytes=self._memory_bytes,
        )
        ended: Deferred[Outcome] = Deferred()
        child = _Child(order, ended)
        command = [sys.executable, "-m", "mosaic.services.drcp.reckoner"]
        self._reactor.spawnProcess(
            child,
            command[0],
            command,
            env=worker_environment(),
            path="/",
            childFDs={0: "w", 1: "r", 2: "r"},
        )
        self._children.add(child)
        child.alarm = self._reactor.callLater(
            self._seconds, child.stop, f"it took more than {self._seconds:g} seconds"
        )
        ended.addBoth(self._ended, child)
        return ended

    def _ended(self, result: Any, child: _Child) -> Any:
        self._children.discard(child)
        return result


class _Child(ProcessProtocol):
    """Tells the child what to do, and what it said."""

    transport: Any

    def __init__(self, order: bytes, ended: Deferred[Outcome]) -> None:
        self._order = order
        self._ended = ended
        self._output: list[bytes] = []
        self._errors = b""
        self._stopped = ""
        self.alarm: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """It runs."""
        self.transport.write(self._order)
        self.transport.closeStdin()
        self._order = b""

    def outReceived(self, data: bytes) -> None:
        """A part of the answer."""
        self._output.append(data)

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
        """It is gone: say what came of it."""
        if self.alarm is not None and self.alarm.active():
            self.alarm.cancel()
        if self._stopped:
            self._fail(f"it was stopped: {self._stopped}")
            return
        if not isinstance(reason.value, ProcessDone):
            _log.error(
                "work on a document broke down: {reason}\n{errors}",
                reason=reason.getErrorMessage(),
                errors=self._errors.decode("utf-8", "replace"),
            )
            self._fail("the work on the document broke down")
            return
        try:
            outcome = read_answer(b"".join(self._output))
        except NotRestored as error:
            self._ended.errback(error)
        except ValueError as error:
            self._fail(f"the work on the document came to nothing: {error}")
        else:
            self._ended.callback(outcome)

    def _fail(self, why: str) -> None:
        self._ended.errback(CrdtError(why, panicked=False))


def random_number() -> int:
    """31 bits: a Yjs client id, a nonce."""
    return secrets.randbits(31)
