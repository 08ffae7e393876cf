"""One Yjs document in memory, fenced: whatever the CRDT does stays in here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from pycrdt import Doc, merge_updates

from mosaic.store.interface import StoredDocument
from mosaic.workspace.documents import (
    EMPTY_STATE_VECTOR,
    EMPTY_UPDATE,
    MalformedUpdate,
    UpdateSummary,
    check_state_vector,
    check_update,
)
from mosaic.workspace.plain import Summary

T = TypeVar("T")

MERGE_UPDATES = 100
MERGE_BYTES = 65536
"""merge_updates is super-linear: no chunk is larger."""

MAX_WAITING = 1000


class CrdtError(Exception):
    """pycrdt refused or panicked; after a panic the document is not trusted.

    culprit: the update that did it, if it had waited for the one applied.
    """

    def __init__(self, message: str, *, panicked: bool) -> None:
        super().__init__(message)
        self.panicked = panicked
        self.culprit: bytes | None = None


def guarded(call: Callable[..., T], *args: object) -> T:
    """Call into pycrdt. Raises CrdtError for every error and panic."""
    try:
        return call(*args)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        # A Rust panic is a BaseException.
        panicked = not isinstance(error, Exception)
        raise CrdtError(str(error)[:200], panicked=panicked) from None


def merged(updates: Sequence[bytes]) -> bytes:
    """One update out of a chunk. Raises CrdtError."""
    if len(updates) == 1:
        return updates[0]
    return guarded(merge_updates, *updates)


def chunks(updates: Iterable[bytes]) -> list[list[bytes]]:
    """Parts that are cheap to merge."""
    parts: list[list[bytes]] = []
    size = 0
    for update in updates:
        if (
            not parts
            or len(parts[-1]) >= MERGE_UPDATES
            or size + len(update) > MERGE_BYTES
        ):
            parts.append([])
            size = 0
        parts[-1].append(update)
        size += len(update)
    return parts


class Replica:
    """A document built by applying updates.

    size_bytes: an upper estimate of its encoding. is_complete: nothing waits
    for updates that have not come (what waits is in no encoding of the CRDT).
    """

    def __init__(self) -> None:
        self._doc: Doc[Any] = Doc()
        self._clocks: dict[int, int] = {}
        self._waiting: list[tuple[bytes, UpdateSummary]] = []
        self._full: bytes | None = None
        self.size_bytes = 0

    @property
    def encoded(self) -> bytes | None:
        """The whole document, if it was encoded since the last change."""
        return self._full

    @property
    def is_complete(self) -> bool:
        """Whether its encoding holds everything that was applied."""
        return not self._waiting

    def accepts(self, summary: Summary) -> bool:
        """Whether an out-of-order update may still be kept waiting."""
        return len(self._waiting) < MAX_WAITING or summary.fits(self._clocks)

    def apply(
        self, batch: Sequence[tuple[bytes, Summary]], update: bytes
    ) -> list[bytes]:
        """Apply `update`, the merge of a batch; what is in the document now and
        was not, for those who have it. Raises CrdtError.

        What builds on something that has not come waits here and not in the
        CRDT, which can be made to crash by what it keeps for later. Nobody else
        is told of it before: a CRDT that is told merges with gaps shows what it
        must not, and others would build on what may never come.
        """
        self._full = None
        before = list(self._waiting)
        clocks = self._clocks
        size = 0
        in_order = True
        for raw, summary in batch:
            size += len(raw)
            if in_order and summary.fits(clocks):
                summary.advance(clocks)
            else:
                in_order = False
        try:
            if in_order:
                guarded(self._doc.apply_update, update)
            else:
                # Some may fit in another order; the clocks ran ahead.
                self._waiting += [(raw, check_update(raw)) for raw, _ in batch]
                self._ask_clocks()
            told = [update] if in_order else []
            if self._waiting:
                waited = [raw for raw, _ in self._waiting]
                refused = self._apply_waiting()
                if any(raw in refused for raw, _ in batch):
                    # Somebody is about to be told that it was taken.
                    raise refused[next(raw for raw, _ in batch if raw in refused)]
                out = refused.keys() | {raw for raw, _ in self._waiting}
                told += [raw for raw in waited if raw not in out]
        except CrdtError as error:
            self._waiting = before
            if not error.panicked:
                self._ask_clocks()
            raise
        self.size_bytes += size
        return told

    def _ask_clocks(self) -> None:
        self._clocks = check_state_vector(self.state_vector())

    def _apply_waiting(self) -> dict[bytes, CrdtError]:
        """Everything that fits by now, until nothing more does; what the CRDT
        refused of it."""
        refused: dict[bytes, CrdtError] = {}
        progress = True
        while progress:
            progress = False
            waiting, self._waiting = self._waiting, []
            for raw, summary in waiting:
                if not summary.fits(self._clocks):
                    self._waiting.append((raw, summary))
                    continue
                summary.advance(self._clocks)
                try:
                    guarded(self._doc.apply_update, raw)
                except CrdtError as error:
                    error.culprit = raw
                    if error.panicked:
                        raise
                    # Those that come now must not pay for one that has waited.
                    refused[raw] = error
                    self._ask_clocks()
                else:
                    progress = True
        # Some of it may be in there for another reason: a snapshot.
        self._sort_waiting()
        return refused

    def state_vector(self) -> bytes:
        """Raises CrdtError."""
        return guarded(self._doc.get_state)

    def diff(self, state_vector: bytes) -> bytes:
        """What a holder of the state vector lacks.

        Raises MalformedUpdate for the state vector, CrdtError.
        """
        if state_vector in (b"", EMPTY_STATE_VECTOR):
            return self.full()
        check_state_vector(state_vector)
        return guarded(self._doc.get_update, state_vector)

    def full(self) -> bytes:
        """The whole document; encoded once between two changes."""
        if self._full is None:
            self._full = guarded(self._doc.get_update)
            self.size_bytes = len(self._full) + sum(
                len(raw) for raw, _ in self._waiting
            )
        return self._full

    def _sort_waiting(self) -> None:
        """Ask the CRDT what it has integrated by now."""
        self._ask_clocks()
        clocks = self._clocks
        self._waiting = [
            (raw, summary)
            for raw, summary in self._waiting
            if not _reached(summary.ends, clocks) or not _reached(summary.needs, clocks)
        ]


def _reached(wanted: dict[int, int], clocks: dict[int, int]) -> bool:
    return all(clocks.get(client, 0) >= clock for client, clock in wanted.items())


def rebuild(
    stored: StoredDocument, culprits: Collection[bytes] = ()
) -> tuple[Replica, dict[int, str]]:
    """A replica from the store, and what must be set aside: seq -> reason.

    culprits: updates that are known to make the CRDT panic.

    Raises CrdtError if the snapshot itself cannot be applied.
    """
    first_seq = stored.last_seq - len(stored.updates) + 1
    poison = {
        seq: "the CRDT panics on it"
        for seq, update in enumerate(stored.updates, first_seq)
        if update in culprits
    }
    while True:
        replica, failure = _build(stored, first_seq, poison)
        if failure is None:
            return replica, poison
        # After a panic nothing that the document holds is trusted: again,
        # without the update that did it.
        poison[failure[0]] = failure[1]


def _build(
    stored: StoredDocument, first_seq: int, poison: dict[int, str]
) -> tuple[Replica, tuple[int, str] | None]:
    replica = Replica()
    if stored.snapshot:
        replica.apply([], stored.snapshot)
        replica._clocks = check_state_vector(replica.state_vector())
        replica.size_bytes = len(stored.snapshot)
    for seq, update in enumerate(stored.updates, first_seq):
        if seq in poison or update == EMPTY_UPDATE:
            continue
        try:
            replica.apply([(update, check_update(update))], update)
        except MalformedUpdate as error:
            poison[seq] = str(error)
        except CrdtError as error:
            if error.panicked:
                guilty = error.culprit or update
                at = next(
                    number
                    for number, other in enumerate(stored.updates, first_seq)
                    if other == guilty and number not in poison
                )
                return replica, (at, str(error))
            poison[seq] = str(error)
    return replica, None
