"""Long work on whole documents, in a process apart from the meetings.

pycrdt holds Python's lock while it works, so that a thread would not help; and a
document that makes it panic does so elsewhere.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, maybeDeferred
from twisted.python.failure import Failure

from mosaic.export.child import Child
from mosaic.services.drcp.reckoner import read_answer, write_order
from mosaic.services.drcp.replica import CrdtError, guarded
from mosaic.workspace.tasks import Outcome, Task, perform
from mosaic.workspace.versions import NotRestored

SMALL_BYTES = 16384
"""States of together so many bytes take a few milliseconds."""
AT_ONCE = 2
"""So many children at a time; the others wait."""

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
        child.spawn(self._reactor, command, path="/", seconds=self._seconds)
        self._children.add(child)
        ended.addBoth(self._ended, child)
        return ended

    def _ended(self, result: Any, child: _Child) -> Any:
        self._children.discard(child)
        return result


class _Child(Child):
    """Tells the child what to do, and what it said."""

    name = "work on a document"

    def __init__(self, order: bytes, ended: Deferred[Outcome]) -> None:
        super().__init__()
        self._order = order
        self._ended = ended
        self._output: list[bytes] = []

    def connectionMade(self) -> None:
        """It runs."""
        self.transport.write(self._order)
        self.transport.closeStdin()
        self._order = b""

    def outReceived(self, data: bytes) -> None:
        """A part of the answer."""
        self._output.append(data)

    def was_stopped(self, why: str) -> None:
        """Killed."""
        self._fail(f"it was stopped: {why}")

    def has_ended(self, reason: Failure) -> None:
        """Say what came of it."""
        if not self.is_well(reason):
            self.log_end(reason)
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
