"""What a batch of edits becomes: updates for everybody, entries for the journal."""

from __future__ import annotations

from collections.abc import Callable

from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.journal import Edit
from mosaic.services.drcp.replica import CrdtError, Replica, chunks, merged
from mosaic.services.drcp.signing import together
from mosaic.workspace.plain import Summary

PendingEdit = tuple[Edit, Summary]


def apply_batch(
    replica: Replica,
    pending: list[PendingEdit],
    *,
    counters: Counters,
    failed: Callable[[CrdtError], None],
) -> tuple[list[bytes], list[Edit]]:
    """Apply the edits: the updates to send, and the edits to keep. Those that
    wait for others (see Replica.apply) are kept, and sent when they fit.

    failed: hears of each error of the CRDT. An edit that cannot be applied is
    refused to its author and left out; the others go on without it.
    """
    updates: list[bytes] = []
    edits: list[Edit] = []
    at = 0
    for chunk in chunks(edit.update for edit, _ in pending):
        part = pending[at : at + len(chunk)]
        at += len(chunk)
        try:
            update = merged(chunk)
            updates += replica.apply([(e.update, s) for e, s in part], update)
        except CrdtError as failure:
            failed(failure)
            part = _apply_singly(replica, part, failure, counters, failed, updates)
        else:
            if len(part) > 1 and replica.is_complete:
                part = _joined(part, update)
        edits += [edit for edit, _ in part]
    return updates, edits


def _apply_singly(
    replica: Replica,
    part: list[PendingEdit],
    known: CrdtError,
    counters: Counters,
    failed: Callable[[CrdtError], None],
    updates: list[bytes],
) -> list[PendingEdit]:
    """Find the culprits of a failed merge; those that can be applied.

    updates: grows by what to send.
    """
    good = []
    for edit, summary in part:
        failure: CrdtError | None = known
        if len(part) > 1:
            failure = _try_one(replica, edit, summary, updates)
            if failure is not None:
                failed(failure)
        if failure is None:
            good.append((edit, summary))
            continue
        counters.updates_refused += 1
        edit.author.refuse(4400, "it cannot be applied")
    return good


def _try_one(
    replica: Replica, edit: Edit, summary: Summary, updates: list[bytes]
) -> CrdtError | None:
    try:
        updates += replica.apply([(edit.update, summary)], edit.update)
    except CrdtError as failure:
        return failure
    return None


def _joined(part: list[PendingEdit], update: bytes) -> list[PendingEdit]:
    """One entry for the journal, if all of a merge is by one author."""
    first, summary = part[0]
    author = first.author
    if any(edit.author is not author for edit, _ in part):
        return part
    writer = together([edit.writer for edit, _ in part])
    count = sum(edit.count for edit, _ in part)
    return [(Edit(update, first.author_id, author, writer, count), summary)]
