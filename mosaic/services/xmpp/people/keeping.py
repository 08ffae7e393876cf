"""The way of messages to the disk: all of one reactor turn in one change."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.counters import Counters
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.store.people import Archived, Waiting
from mosaic.store.people import People as PeopleStore

_log = Logger()

RANDOM_BITS = 10
UNCOMMITTED_BYTES = 64 << 20
"""What may wait for a disk that is slower than the senders."""

Outcome = frozenset[tuple[str, int]]


class MessageIds:
    """Ids that grow with the time: microseconds, and some bits that differ from
    process to process.

    wall: Unix seconds now.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._last = 0
        self._salt = secrets.randbits(RANDOM_BITS)

    def new(self) -> int:
        """A greater one than any before, whatever the clock does."""
        now = int(self._wall() * 1_000_000)
        if now <= self._last:
            now = self._last + 1
        self._last = now
        return (now << RANDOM_BITS) | self._salt


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


class _Batch:
    """What one change will hold. committed: fires with None when it is over."""

    __slots__ = ("archived", "committed", "size_bytes", "waiters", "waiting")

    def __init__(self) -> None:
        self.archived: list[Archived] = []
        self.waiting: list[Waiting] = []
        self.size_bytes = 0
        self.committed: Deferred[None] = Deferred()
        self.waiters: list[Deferred[Outcome]] = []


class Keeper:
    """Takes messages; tells when they are on disk.

    offline_limit: messages that may wait for an account.
    """

    def __init__(
        self,
        clock: IReactorTime,
        store: PeopleStore,
        counters: Counters,
        *,
        offline_limit: int,
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._store = store
        self._offline_limit = offline_limit
        self._batch: _Batch | None = None
        self._uncommitted_bytes = 0
        self._writing: set[_Batch] = set()

    def archive(self, rows: Sequence[Archived]) -> Deferred[None]:
        """Keep one message, in one or two archives.

        Fires after the commit, also if it failed, which is in the log: whoever
        was there has the message. It is the same for many messages: add no
        callback that changes the result. Raises Undeliverable
        (resource-constraint) while too much waits for the disk.
        """
        batch = self._open(len(rows[0].raw))
        batch.archived += rows
        return batch.committed

    def hold(self, rows: Sequence[Archived], waiting: Waiting) -> Deferred[None]:
        """Keep a message that waits for its account, and archive it.

        Raises Undeliverable, at once or through the Deferred: it is not kept.
        """
        batch = self._open(len(waiting.raw))
        batch.archived += rows
        batch.waiting.append(waiting)
        waiter: Deferred[Outcome] = Deferred()
        batch.waiters.append(waiter)

        def written(refused: Outcome) -> None:
            if (waiting.owner, waiting.id) in refused:
                raise Undeliverable(
                    "resource-constraint", text="too many messages wait for them"
                )

        def failed(_: Failure) -> None:
            raise Undeliverable("resource-constraint", text="it could not be kept")

        return waiter.addCallbacks(written, failed)

    def _open(self, size_bytes: int) -> _Batch:
        if self._uncommitted_bytes > UNCOMMITTED_BYTES:
            raise Undeliverable("resource-constraint")
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            self._clock.callLater(0, self._turn_ended, batch)
        batch.size_bytes += size_bytes
        self._uncommitted_bytes += size_bytes
        return batch

    async def written(self) -> None:
        """Return when all that was said so far is on disk, or could not be: who
        reads after this misses nothing that was delivered."""
        self.flush()
        for batch in list(self._writing):
            waiter: Deferred[None] = Deferred()
            batch.committed.chainDeferred(waiter)
            await waiter

    async def settled(self) -> None:
        """Return when nothing waits for the disk any more."""
        self.flush()
        while self._writing:
            waiter: Deferred[None] = Deferred()
            next(iter(self._writing)).committed.chainDeferred(waiter)
            await waiter

    def _turn_ended(self, batch: _Batch) -> None:
        if self._batch is batch:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the store now."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        over = batch
        self._writing.add(over)

        def kept(outcome: Outcome) -> None:
            self._writing.discard(over)
            self._uncommitted_bytes -= over.size_bytes
            lost = sum(row[:2] in outcome for row in over.archived) if outcome else 0
            self._counters.archived += len(over.archived) - lost
            self._counters.held += len(over.waiting) - len(outcome)
            for waiter in over.waiters:
                waiter.callback(outcome)
            over.committed.callback(None)

        def failed(reason: Failure) -> None:
            self._writing.discard(over)
            self._uncommitted_bytes -= over.size_bytes
            self._counters.commits_failed += 1
            _log.failure("messages could not be kept", reason)
            for waiter in over.waiters:
                waiter.errback(reason.value)
            over.committed.callback(None)

        keeping = self._store.keep_messages(
            batch.archived, batch.waiting, limit=self._offline_limit
        )
        keeping.addCallbacks(kept, failed)
