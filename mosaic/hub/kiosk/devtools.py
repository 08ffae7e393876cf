"""Chromium's DevTools protocol over its pipe: calls out, answers in. No I/O.

Messages are JSON with a NUL after each (--remote-debugging-pipe: the browser
reads descriptor 3 and writes descriptor 4). Nobody else can reach it, as they
could a port.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class DevToolsError(Exception):
    """The browser said no, or is gone; its words."""


class DevTools:
    """One browser. write: sends bytes to it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._waiting: dict[int, Deferred[dict[str, Any]]] = {}
        self._last = 0
        self._unread = bytearray()
        self._gone = False

    def call(
        self, method: str, params: dict[str, Any] | None = None, *, session: str = ""
    ) -> Deferred[dict[str, Any]]:
        """Fires with the result; fails with DevToolsError."""
        self._last += 1
        done: Deferred[dict[str, Any]] = Deferred()
        if self._gone:
            done.errback(DevToolsError("the browser is gone"))
            return done
        message: dict[str, Any] = {"id": self._last, "method": method}
        message["params"] = params or {}
        if session:
            message["sessionId"] = session
        self._waiting[self._last] = done
        self._write(json.dumps(message).encode() + b"\0")
        return done

    def received(self, data: bytes) -> None:
        """Some of what it wrote. Raises DevToolsError for what is no answer."""
        self._unread += data
        if len(self._unread) > MAX_MESSAGE_BYTES:
            raise DevToolsError("the browser's answer is too long")
        *whole, rest = self._unread.split(b"\0")
        self._unread = bytearray(rest)
        for message in whole:
            try:
                decoded = json.loads(message)
            except (ValueError, RecursionError):
                raise DevToolsError("the browser's answer is no JSON") from None
            if isinstance(decoded, dict):
                self._answered(decoded)

    def lost(self) -> None:
        """It has ended."""
        self._gone = True
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done.errback(DevToolsError("the browser is gone"))

    def _answered(self, message: dict[str, Any]) -> None:
        """Events have no id; nobody listens for any."""
        id_ = message.get("id")
        done = self._waiting.pop(id_, None) if isinstance(id_, int) else None
        if done is None:
            return
        error, result = message.get("error"), message.get("result")
        if isinstance(error, dict):
            done.errback(DevToolsError(str(error.get("message"))[:200]))
        else:
            done.callback(result if isinstance(result, dict) else {})
