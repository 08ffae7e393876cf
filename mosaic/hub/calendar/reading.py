# mypy: disable-error-code="no-untyped-call"
# (Twisted's processes have few annotations)
"""Has a calendar read in a process that can be killed (worker.py)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from mosaic.hub.calendar.ics import CalendarError, Found

READ_S = 60.0
"""By the clock; the process has 25 s of CPU time."""
MAX_ANSWER_BYTES = 1024 * 1024
TOO_LONG = "the calendar takes too long to read"


class Reading(Protocol):
    """Makes entries of what a calendar's server sent."""

    def __call__(
        self, content: bytes, *, dav: bool, now: float, server: str
    ) -> Awaitable[Found]:
        """dav: the content is a multistatus. Raises CalendarError."""


def reading_in_a_process(reactor: Any) -> Reading:
    """As a hub does it."""

    async def read(content: bytes, *, dav: bool, now: float, server: str) -> Found:
        worker = _Worker()
        head = json.dumps({"dav": dav, "now": now, "server": server}).encode()
        # Times without a zone are local ones: TZ is all that the helper is told.
        environment = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
        command = [sys.executable, "-I", "-m", "mosaic.hub.calendar.worker"]
        reactor.spawnProcess(worker, command[0], command, env=environment)
        worker.transport.write(head + b"\n" + content)
        worker.transport.closeStdin()
        timer = reactor.callLater(READ_S, worker.kill)
        try:
            answer = await worker.ended
        finally:
            worker.kill()
            if timer.active():
                timer.cancel()
        return _found(answer)

    return read


def _found(answer: bytes) -> Found:
    try:
        told = json.loads(answer)
    except ValueError:  # it was ended in the middle
        raise CalendarError(TOO_LONG) from None
    if "error" in told:
        raise CalendarError(str(told["error"])[:200])
    return msgspec.convert(told, Found)


class _Worker(ProcessProtocol):
    """ended: all that it said. Cancelling it kills the process."""

    transport: Any

    def __init__(self) -> None:
        self.ended: Deferred[bytes] = Deferred(lambda _: self.kill())
        self._said = b""

    def outReceived(self, data: bytes) -> None:
        """A part of the answer."""
        self._said += data
        if len(self._said) > MAX_ANSWER_BYTES:
            self.kill()

    def errReceived(self, data: bytes) -> None:
        """Python's words when memory ends; the missing answer says enough."""

    def processEnded(self, reason: Failure = Failure(ProcessDone(0))) -> None:  # noqa: B008
        """All is said."""
        if not self.ended.called:
            self.ended.callback(self._said)

    def kill(self) -> None:
        """End it at once; safe to call twice."""
        try:
            self.transport.signalProcess("KILL")
        except Exception:  # noqa: S110 - it has ended by itself
            pass
