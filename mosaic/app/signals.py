"""SIGTERM drains and exits 0; SIGHUP reloads."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any


def install_signals(
    reactor: Any, *, stop: Callable[[], None], reload: Callable[[], None]
) -> None:
    """Take over SIGTERM, SIGINT and SIGHUP once the reactor runs.

    Twisted's own SIGTERM ends the process by that signal; an orderly end is
    no failure, so ours exits with 0.
    """

    def install() -> None:
        for number, action in (
            (signal.SIGTERM, stop),
            (signal.SIGINT, stop),
            (signal.SIGHUP, reload),
        ):
            signal.signal(number, lambda *_, a=action: reactor.callFromThread(a))

    # Twisted installs its handlers during startup; ours come after.
    reactor.callWhenRunning(reactor.callLater, 0, install)
