"""Taking turns: tries for one account or from one address run one at a time.

Otherwise a thousand tries sent at once would all be checked before the first
failure is counted, and five would mean a thousand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twisted.internet.defer import DeferredLock


class KeyedLocks:
    """A lock for each key, kept only while somebody holds or awaits it."""

    def __init__(self) -> None:
        self._locks: dict[str, DeferredLock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, *keys: str) -> AsyncIterator[None]:
        """Hold every key, taken in the given order (the same for all callers)."""
        held: list[tuple[str, DeferredLock]] = []
        try:
            for key in keys:
                lock = self._locks.setdefault(key, DeferredLock())
                await lock.acquire()
                held.append((key, lock))
            yield
        finally:
            for key, lock in reversed(held):
                self._release(key, lock)

    def _release(self, key: str, lock: DeferredLock) -> None:
        lock.release()
        # release() may have let a waiter run to its end, who dropped the lock
        if not lock.locked and self._locks.get(key) is lock:
            del self._locks[key]
