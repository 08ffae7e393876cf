"""A child process under the reactor: its time, its complaints and its end."""

# Twisted's process transports are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.export.jobs import worker_environment

MAX_ERRORS_BYTES = 8192

_log = Logger()


class Child(ProcessProtocol):
    """Runs once. A subclass reads what it prints, and is told how it ended.

    name: for the log, "an export worker".
    """

    transport: Any
    name = "a child process"

    def __init__(self) -> None:
        self._errors = b""
        self._why_stopped = ""
        self._alarm: IDelayedCall | None = None

    def spawn(
        self, reactor: Any, command: list[str], *, path: str, seconds: float
    ) -> None:
        """Start; after so many seconds it is killed.

        reactor: spawns it and has the time. path: the folder that it runs in.
        """
        reactor.spawnProcess(
            self,
            command[0],
            command,
            env=worker_environment(),
            path=path,
            childFDs={0: "w", 1: "r", 2: "r"},
        )
        self._alarm = reactor.callLater(
            seconds, self.stop, f"it took more than {seconds:g} seconds"
        )

    def stop(self, why: str) -> None:
        """Kill it; why is told to was_stopped()."""
        self._why_stopped = self._why_stopped or why
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    def errReceived(self, data: bytes) -> None:
        """For the log, the end of it."""
        self._errors = (self._errors + data)[-MAX_ERRORS_BYTES:]

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and all that it wrote has been read."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        if self._why_stopped:
            self.was_stopped(self._why_stopped)
        else:
            self.has_ended(reason)

    def was_stopped(self, why: str) -> None:
        """It was killed."""
        raise NotImplementedError

    def has_ended(self, reason: Failure) -> None:
        """It ended by itself; see is_well()."""
        raise NotImplementedError

    @staticmethod
    def is_well(reason: Failure) -> bool:
        """It ended with the code 0."""
        return isinstance(reason.value, ProcessDone)

    def log_end(self, reason: Failure) -> None:
        """It should have ended otherwise: for the log, what it complained of."""
        _log.error(
            "{name} broke down: {reason}\n{errors}",
            name=self.name,
            reason=reason.getErrorMessage(),
            errors=self._errors.decode("utf-8", "replace"),
        )
