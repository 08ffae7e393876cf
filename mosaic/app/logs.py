"""Log lines for people, or JSON for machines."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable
from typing import IO, Any

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from zope.interface import provider

FIELD_LIMIT = 1024
_OWN_KEYS = frozenset({"message", "time", "level", "format", "namespace"})


class LevelledLog:
    """An observer whose threshold can change while it runs."""

    def __init__(self, write: Callable[[LogEvent], None], level: str) -> None:
        self._predicate = LogLevelFilterPredicate()
        self.set_level(level)
        self.observer: ILogObserver = FilteringLogObserver(
            provider(ILogObserver)(write), [self._predicate]
        )

    def set_level(self, level: str) -> None:
        """debug, info, warn or error."""
        self._predicate.setLogLevelForNamespace("", LogLevel.levelWithName(level))


def plain_log(stream: IO[str]) -> Callable[[LogEvent], None]:
    """Write `12:30:01 info  what happened`, one line to an event."""

    def write(event: LogEvent) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(event.get("log_time")))
        level = _level(event)
        text = one_line(formatEvent(event))
        stream.write(f"{clock} {level:<5} {text}\n{_traceback(event)}")
        stream.flush()

    return write


def json_log(stream: IO[str]) -> Callable[[LogEvent], None]:
    """Write one JSON object to a line; fields are short and free of control."""

    def write(event: LogEvent) -> None:
        record: dict[str, Any] = {
            "time": round(event.get("log_time", time.time()), 3),
            "level": _level(event),
            "source": event.get("log_namespace", ""),
            "message": one_line(formatEvent(event)),
        }
        for key, value in event.items():
            if not key.startswith("log_") and key not in _OWN_KEYS:
                record[key] = _field(value)
        if trace := _traceback(event):
            record["traceback"] = trace
        stream.write(json.dumps(record) + "\n")
        stream.flush()

    return write


def one_line(text: str) -> str:
    """Text without line ends, control or direction characters, and not long."""
    return "".join(
        f"\\u{ord(char):04x}" if _breaks_lines(char) else char
        for char in text[:FIELD_LIMIT]
    )


def _breaks_lines(char: str) -> bool:
    """Control, format and other such characters, and Unicode's own line ends."""
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp")


def _field(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return one_line(str(value))


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return "info" if level is None else str(level.name)


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure")
    return "" if failure is None else str(failure.getTraceback())
