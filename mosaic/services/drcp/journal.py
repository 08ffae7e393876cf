"""One document's way to the disk: appended in order, acknowledged after commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.drcp.counters import Counters
from mosaic.store.interface import JournalEntry, Store
from mosaic.workspace.versions import Author as Writer

_log = Logger()

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 10.0


class Author(Protocol):
    """Who sent an update, to be told what became of it."""

    def acknowledge(self, saved: bool, count: int) -> None:
        """So many updates are committed, or are not saved for now."""

    def refuse(self, code: int, message: str) -> None:
        """One update will never be taken."""


@dataclass(slots=True)
class Edit:
    """An update and its author.

    writer: what is new about them. count: how many messages it came in.
    """

    update: bytes
    author_id: str
    author: Author
    writer: Writer | None = None
    count: int = 1


class Journal:
    """Appends in parallel with the live fan-out.

    What the store refuses stays in memory (`unsaved`) and is tried again; its
    authors are told "not saved" at once and "saved" once it is.
    """

    def __init__(
        self,
        store: Store,
        *,
        hub_id: str,
        name: str,
        last_seq: int,
        reactor: IReactorTime,
        counters: Counters,
    ) -> None:
        self._store = store
        self._hub_id = hub_id
        self._name = name
        self._reactor = reactor
        self._counters = counters
        self._in_flight = 0
        self._retry: IDelayedCall | None = None
        self._retry_s = FIRST_RETRY_S
        self._waiters: list[Deferred[None]] = []
        self.last_seq = last_seq
        self.unsaved: list[Edit] = []

    @property
    def is_quiet(self) -> bool:
        """All that was appended is committed."""
        return not self._in_flight and not self.unsaved

    def append(self, edits: Sequence[Edit]) -> None:
        """Commit these; or keep them behind those that could not be."""
        if self.unsaved:
            self._hold(edits, tell=True)
        else:
            self._commit(edits, tell=True)

    def settled(self) -> Deferred[None]:
        """Fires when nothing is on its way to the disk."""
        waiter: Deferred[None] = Deferred()
        if self._in_flight:
            self._waiters.append(waiter)
        else:
            waiter.callback(None)
        return waiter

    def retry_now(self) -> None:
        """Try what is unsaved once more."""
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._retry = None
        if self.unsaved:
            edits, self.unsaved = self.unsaved, []
            self._commit(edits, tell=False)

    def stop(self) -> None:
        """No more retries."""
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._retry = None

    def _commit(self, edits: Sequence[Edit], *, tell: bool) -> None:
        entries = [
            JournalEntry(update=e.update, author=e.author_id, writer=e.writer)
            for e in edits
        ]
        self._in_flight += 1
        append = self._store.append_updates
        maybeDeferred(append, self._hub_id, self._name, entries).addCallbacks(
            self._committed,
            self._refused,
            callbackArgs=(edits,),
            errbackArgs=(edits, tell),
        ).addErrback(self._broken)

    def _committed(self, last_seq: int, edits: Sequence[Edit]) -> None:
        self.last_seq = max(self.last_seq, last_seq)
        self._retry_s = FIRST_RETRY_S
        self._counters.updates_saved += sum(edit.count for edit in edits)
        self._landed()
        _tell(edits, saved=True)

    def _refused(self, failure: Failure, edits: Sequence[Edit], tell: bool) -> None:
        self._counters.updates_not_saved += sum(edit.count for edit in edits)
        _log.warn(
            "cannot save {name} of {hub_id}: {reason}",
            name=self._name,
            hub_id=self._hub_id,
            reason=failure.getErrorMessage(),
            updates=len(edits),
        )
        self._hold(edits, tell=tell)
        self._landed()

    def _hold(self, edits: Sequence[Edit], *, tell: bool) -> None:
        # Those refused earlier may come back after later ones: the CRDT does
        # not mind the order.
        self.unsaved.extend(edits)
        if self._retry is None:
            self._retry = self._reactor.callLater(self._retry_s, self.retry_now)
            self._retry_s = min(LAST_RETRY_S, self._retry_s * 2)
        if tell:
            _tell(edits, saved=False)

    def _landed(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def _broken(self, failure: Failure) -> None:
        _log.failure("an acknowledgement failed", failure=failure)


def _tell(edits: Sequence[Edit], *, saved: bool) -> None:
    counts: Counter[Author] = Counter()
    for edit in edits:
        counts[edit.author] += edit.count
    for author, count in counts.items():
        author.acknowledge(saved, count)
