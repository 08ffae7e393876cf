"""The last lines of the log, for support."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.logger import ILogObserver, formatEventAsClassicLogText
from zope.interface import implementer

LINES = 4000
MAX_LINE = 1000


@implementer(ILogObserver)
class LogLines:
    """A log observer that keeps the newest lines."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)

    def __call__(self, event: Any) -> None:
        """One event."""
        line = formatEventAsClassicLogText(event)
        if line:
            self._lines.append(line.rstrip("\n")[:MAX_LINE])

    def text(self) -> bytes:
        """All of them, UTF-8."""
        return ("\n".join(self._lines) + "\n").encode(errors="replace")
