"""Known clients, as the native plane's thread is told of them (admission.h)."""

from __future__ import annotations

import struct
from typing import Any

from mosaic.relay._plane import (  # type: ignore[import-not-found,unused-ignore] # built from C
    lib,
)

GRANT = struct.Struct("=QQqd40s20s12s16sIIiI")
"""relay, user, end in the thread's time, bytes a second, both ends, host of the
relayed address, transaction, key, lifetime, fingerprint or not, socket, port"""


class Passes:
    """The credentials that the thread knows, by number.

    Numbers are never used again: what is on its way from the thread under one
    that it has forgotten meets nobody else.
    """

    def __init__(self) -> None:
        self._last = 0
        self._held: dict[int, tuple[str, bytes]] = {}
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._held)

    def know(self, plane: Any, username: str, key: bytes) -> None:
        """Tell the thread, unless it knows."""
        number = self._numbers.get(username)
        if number is not None and self._held[number][1] == key:
            return
        self._last += 1
        name = username.encode()
        before = int(lib.plane_know(plane, self._last, name, len(name), key))
        if before == self._last:
            return  # the name is too long
        held = self._held.pop(before, None)
        if held is not None:
            del self._numbers[held[0]]
        self._held[self._last] = username, key
        self._numbers[username] = self._last

    def get(self, number: int) -> tuple[str, bytes] | None:
        """A username and its key."""
        return self._held.get(number)

    def clear(self) -> None:
        """The thread has ended."""
        self._held.clear()
        self._numbers.clear()
