# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""The agent as a program: one process per state folder, signals, log, restart."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure

from mosaic.hub.build import build_hub
from mosaic.hub.loglines import LogLines
from mosaic.hub.options import HubOptions, OptionError

_log = Logger()

STOP_S = 5.0
"""Whatever hangs, the program is gone after this."""


def run_hub(options: HubOptions) -> Sequence[str] | None:
    """Run until asked to stop (None), or to start again: what to execute then.

    Raises OptionError if it cannot start.
    """
    from twisted.internet import reactor as _reactor

    reactor: Any = _reactor
    lines = LogLines()
    globalLogBeginner.beginLoggingTo(
        [_quiet(lines), _quiet(textFileLogObserver(sys.stdout))],
        redirectStandardIO=False,
    )
    lock = _lock(options)
    outcome: list[bool] = []

    def ended(again: bool) -> None:
        if outcome:
            return
        outcome.append(again)
        reactor.callLater(STOP_S, _stop, reactor)
        Deferred.fromCoroutine(hub.stop()).addBoth(lambda _: _stop(reactor))

    hub = build_hub(reactor, options, log=lines, ended=ended)
    failed: list[Failure] = []

    def start() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                number,
                lambda *_: reactor.callFromThread(ended, False),
            )
        Deferred.fromCoroutine(hub.start()).addErrback(broken)

    def broken(failure: Failure) -> None:
        failed.append(failure)
        ended(False)

    # Not callWhenRunning: asyncio's loop does not run yet then, and what looks
    # for it (zeroconf, aiortc) would make one of its own.
    reactor.callLater(0, start)
    reactor.run(installSignalHandlers=True)
    os.close(lock)
    if failed:
        if failed[0].check(OptionError, OSError):
            raise OptionError(failed[0].getErrorMessage())
        failed[0].raiseException()
    if outcome and outcome[0]:
        command = hub.agent.parts.updates.restart_command
        return command or [sys.executable, *sys.orig_argv[1:]]
    return None


def _stop(reactor: Any) -> None:
    if reactor.running:
        reactor.stop()


def _quiet(observer: Any) -> Any:
    """Nothing below info, and not what Twisted says of each connection."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
    for namespace in ("twisted", "log_legacy", "treq", "autobahn", "txaio", "stdout"):
        predicate.setLogLevelForNamespace(namespace, LogLevel.warn)
    return FilteringLogObserver(observer, [predicate])


def _lock(options: HubOptions) -> int:
    """Two agents with one key would end each other's tokens."""
    path = options.state / "lock"
    try:
        options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OptionError(f"--state {options.state}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise OptionError(
            f"{options.state} is in use by another agent; stop it first"
        ) from error
    return descriptor
