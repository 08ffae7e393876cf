"""Taking turns: tries for one account or from one address run one at a time.

Otherwise a thousand tries sent at once would all be checked before the first
failure is counted, and five would mean a thousand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime


class KeyedLocks:
    """A lock for each key, kept only while somebody holds or awaits it.

    The next in line goes on the clock's next turn: a thousand of them that
    are all refused would otherwise run inside one another.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
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
        if lock.waiting:
            self._clock.callLater(0, self._hand_over, key, lock)
        else:
            self._hand_over(key, lock)

    def _hand_over(self, key: str, lock: DeferredLock) -> None:
        lock.release()
        # a waiter that was let in may have run to its end and dropped the lock
        if not lock.locked and self._locks.get(key) is lock:
            del self._locks[key]
