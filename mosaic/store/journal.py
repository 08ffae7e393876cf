"""Documents as a journal of raw Yjs updates with snapshots, over a connection.

Updates are kept exactly as they came: an update whose dependencies are still
missing vanishes from an encoded state, but not from here. The server's room
engine computes snapshots by applying, never by merging the log.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from mosaic.store import rooms, versions
from mosaic.store.database import driver
from mosaic.store.history import SetAside
from mosaic.store.interface import (
    EMPTY_UPDATE,
    JournalEntry,
    NotFound,
    StoredDocument,
)
from mosaic.store.schema import documents, journal, quarantine, snapshots

DocumentRow = Row[tuple[object, ...]]

# Every edit in the house runs these three: past SQLAlchemy, which would take
# four times as long as the database.
_LAST = "SELECT id, last_seq FROM documents WHERE hub_id = ? AND name = ?"
_APPEND = (
    "INSERT INTO journal (document_id, seq, author, at, update_v1)"
    " VALUES (?, ?, ?, ?, ?)"
)
_COUNT = "UPDATE documents SET last_seq = ? WHERE id = ?"

_FIND = select(documents).where(
    documents.c.hub_id == bindparam("of_room"), documents.c.name == bindparam("called")
)


def find(connection: Connection, hub_id: str, name: str) -> StoredDocument | None:
    """A document as stored, None if there is none."""
    document = _row(connection, hub_id, name)
    return None if document is None else _load(connection, document)


def open_document(connection: Connection, hub_id: str, name: str) -> StoredDocument:
    """A document as stored, made with a new epoch if need be. Raises NotFound."""
    return _load(connection, _ensure(connection, hub_id, name))


def names(connection: Connection, hub_id: str) -> list[str]:
    """Names of the room's documents, sorted. Raises NotFound."""
    rooms.get(connection, hub_id)
    question = select(documents.c.name).where(documents.c.hub_id == hub_id)
    return sorted(connection.execute(question).scalars())


def append(
    connection: Connection,
    hub_id: str,
    name: str,
    entries: Sequence[JournalEntry],
    *,
    at: float,
) -> int:
    """Add updates with the numbers that follow; the last one. Raises NotFound."""
    database = driver(connection)
    found = database.execute(_LAST, (hub_id, name)).fetchone()
    if found is None:
        document = _ensure(connection, hub_id, name)
        found = document.id, document.last_seq
    document_id, last_seq = found
    if not entries:
        return int(last_seq)
    rows = [
        (document_id, seq, entry.author, at, entry.update)
        for seq, entry in enumerate(entries, last_seq + 1)
    ]
    database.executemany(_APPEND, rows)
    for entry in entries:
        if entry.writer is not None:
            versions.note_writer(connection, int(document_id), entry.writer, at=at)
    last_seq += len(rows)
    database.execute(_COUNT, (last_seq, document_id))
    return int(last_seq)


def save_snapshot(
    connection: Connection,
    hub_id: str,
    name: str,
    state: bytes,
    *,
    through_seq: int,
    at: float,
) -> None:
    """Replace the updates up to through_seq by one full state.

    One that reaches less far than the snapshot we have is ignored.
    Raises NotFound.
    """
    document = _ensure(connection, hub_id, name)
    through_seq = min(through_seq, int(document.last_seq))
    older = snapshots.c.document_id == document.id
    kept = connection.execute(select(snapshots.c.through_seq).where(older)).scalar()
    if kept is not None and through_seq < kept:
        return
    connection.execute(delete(snapshots).where(older))
    values = {
        "document_id": document.id,
        "through_seq": through_seq,
        "at": at,
        "state_v1": state,
    }
    connection.execute(insert(snapshots).values(values))
    versions.fold_authors(connection, int(document.id), through_seq=through_seq, at=at)
    connection.execute(
        delete(journal).where(
            journal.c.document_id == document.id, journal.c.seq <= through_seq
        )
    )


def set_aside(
    connection: Connection, hub_id: str, name: str, seq: int, *, reason: str
) -> None:
    """Move an update to the quarantine; the empty update takes its place.

    Raises NotFound.
    """
    document = _row(connection, hub_id, name)
    if document is None:
        raise NotFound(f"there is no document {name}")
    place = (journal.c.document_id == document.id) & (journal.c.seq == seq)
    entry = connection.execute(select(journal).where(place)).first()
    if entry is None:
        raise NotFound(f"{name} has no update {seq}")
    where = (quarantine.c.document_id == document.id) & (quarantine.c.seq == seq)
    if connection.execute(select(quarantine.c.seq).where(where)).first() is None:
        values = {**entry._mapping, "reason": reason[:1000]}
        connection.execute(insert(quarantine).values(values))
    connection.execute(update(journal).where(place).values(update_v1=EMPTY_UPDATE))


def every_set_aside(connection: Connection) -> list[SetAside]:
    """The quarantine, oldest first."""
    place = documents.c.id == quarantine.c.document_id
    rows = connection.execute(
        select(quarantine, documents.c.hub_id, documents.c.name)
        .join(documents, place)
        .order_by(quarantine.c.at, quarantine.c.document_id, quarantine.c.seq)
    )
    return [
        SetAside(
            hub_id=row.hub_id,
            document=row.name,
            seq=row.seq,
            author=row.author,
            at=row.at,
            size_bytes=len(row.update_v1),
            reason=row.reason,
        )
        for row in rows
    ]


def _row(connection: Connection, hub_id: str, name: str) -> DocumentRow | None:
    return connection.execute(_FIND, {"of_room": hub_id, "called": name}).first()


def _ensure(connection: Connection, hub_id: str, name: str) -> DocumentRow:
    document = _row(connection, hub_id, name)
    if document is not None:
        return document
    rooms.get(connection, hub_id)
    values = {
        "hub_id": hub_id,
        "name": name,
        "epoch": str(uuid.uuid4()),
        "last_seq": 0,
    }
    connection.execute(insert(documents).values(values))
    return connection.execute(_FIND, {"of_room": hub_id, "called": name}).one()


def _load(connection: Connection, document: DocumentRow) -> StoredDocument:
    newest = connection.execute(
        select(snapshots.c.through_seq, snapshots.c.state_v1)
        .where(snapshots.c.document_id == document.id)
        .order_by(snapshots.c.through_seq.desc())
        .limit(1)
    ).first()
    through_seq, state = (0, b"") if newest is None else newest
    rows = connection.execute(
        select(journal.c.update_v1)
        .where(journal.c.document_id == document.id, journal.c.seq > through_seq)
        .order_by(journal.c.seq)
    )
    return StoredDocument(
        epoch=document.epoch,
        snapshot=state,
        updates=tuple(rows.scalars()),
        last_seq=document.last_seq,
        versioned_seq=versions.newest_seq(connection, int(document.id)),
    )
