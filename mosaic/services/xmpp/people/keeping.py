"""The way of messages to the disk: all of one reactor turn in one change."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.store.people import Archived, Waiting
from mosaic.store.people import People as PeopleStore

_log = Logger()

RANDOM_BITS = 10
UNCOMMITTED_BYTES = 64 << 20
"""What may wait for a disk that is slower than the senders."""

Outcome = frozenset[tuple[str, int]]


class MessageIds:
    """Ids that grow with the time: microseconds and a few random bits.

    wall: Unix seconds now.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._last = 0

    def new(self) -> int:
        """A greater one than any before, whatever the clock does."""
        now = max(int(self._wall() * 1_000_000), self._last + 1)
        self._last = now
        return (now << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)


def id_text(id: int) -> str:
    """As XMPP sees it."""
    return f"{id:016x}"


def read_id(text: str) -> int | None:
    """None if it is none of ours."""
    if len(text) != 16 or not all(char in "0123456789abcdef" for char in text):
        return None
    id = int(text, 16)
    return id if id < 1 << 63 else None


def time_of(id: int) -> float:
    """When it was made, in Unix seconds."""
    return (id >> RANDOM_BITS) / 1_000_000


def first_id_at(seconds: float) -> int:
    """The smallest id of a moment."""
    return min(max(int(seconds * 1_000_000), 0) << RANDOM_BITS, (1 << 63) - 1)


class Keeper:
    """Takes messages; tells when they are on disk.

    offline_limit: messages that may wait for an account.
    """

    def __init__(
        self, clock: IReactorTime, store: PeopleStore, *, offline_limit: int
    ) -> None:
        self._clock = clock
        self._store = store
        self._offline_limit = offline_limit
        self._archived: list[Archived] = []
        self._waiting: list[Waiting] = []
        self._waiters: list[Deferred[Outcome]] = []
        self._bytes = 0
        self._uncommitted_bytes = 0
        self._scheduled = False
        self.failures = 0
        """Commits that failed."""

    def keep(
        self, archived: Sequence[Archived], waiting: Sequence[Waiting] = ()
    ) -> Deferred[Outcome]:
        """Fires after commit with what was past the limit.

        Raises Undeliverable (resource-constraint) while too much waits for the
        disk; StoreError comes through the Deferred.
        """
        if self._uncommitted_bytes > UNCOMMITTED_BYTES:
            raise Undeliverable("resource-constraint")
        self._archived += archived
        self._waiting += waiting
        size = len(archived[0].raw) if archived else len(waiting[0].raw)
        self._bytes += size
        self._uncommitted_bytes += size
        waiter: Deferred[Outcome] = Deferred()
        self._waiters.append(waiter)
        if not self._scheduled:
            self._scheduled = True
            self._clock.callLater(0, self._turn_ended)
        return waiter

    def _turn_ended(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Hand everything to the store now."""
        if not self._waiters:
            return
        archived, self._archived = self._archived, []
        waiting, self._waiting = self._waiting, []
        waiters, self._waiters = self._waiters, []
        size, self._bytes = self._bytes, 0

        def kept(outcome: Outcome) -> None:
            self._uncommitted_bytes -= size
            for waiter in waiters:
                waiter.callback(outcome)

        def failed(reason: Failure) -> None:
            self._uncommitted_bytes -= size
            self.failures += 1
            _log.failure("messages could not be kept", reason)
            for waiter in waiters:
                waiter.errback(reason.value)

        keeping = self._store.keep_messages(
            archived, waiting, limit=self._offline_limit
        )
        keeping.addCallbacks(kept, failed)
