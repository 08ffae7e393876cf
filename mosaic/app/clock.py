"""Timers that do not follow the wall clock."""

from __future__ import annotations

import time
from typing import Any


def use_monotonic_clock(reactor: Any) -> None:
    """Let a reactor's timers run on the monotonic clock.

    Twisted's default follows the wall clock: a step back freezes every timer,
    a step forward fires all at once. Must be called before the first timer.
    """
    reactor.seconds = time.monotonic
