"""Which room refers to which file, over a connection.

A file is referred to by its SHA-256 in hexadecimal, anywhere in the bytes of a
document, a version or a line of chat. Yjs keeps such a text in one piece.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from mosaic.store import rooms
from mosaic.store.belongings_sql import upload_hashes
from mosaic.store.history import Unreferenced
from mosaic.store.interface import NotFound
from mosaic.store.schema import (
    blobs,
    documents,
    journal,
    messages,
    quarantine,
    snapshots,
    versions,
)
from mosaic.workspace.model import Blob


def add(connection: Connection, hub_id: str, blob: Blob) -> None:
    """Note a reference; the first one stays. Raises NotFound."""
    rooms.get(connection, hub_id)
    if _find(connection, hub_id, blob.sha256) is not None:
        place = (blobs.c.hub_id == hub_id) & (blobs.c.sha256 == blob.sha256)
        connection.execute(_unmark.where(place))
    else:
        values = {
            "hub_id": hub_id,
            "sha256": blob.sha256,
            "size_bytes": blob.size_bytes,
            "media_type": blob.media_type,
            "created_at": blob.created_at,
        }
        connection.execute(insert(blobs).values(values))


def get(connection: Connection, hub_id: str, sha256: str) -> Blob:
    """A file that the room refers to. Raises NotFound."""
    blob = _find(connection, hub_id, sha256)
    if blob is None:
        raise NotFound("the room has no such file")
    return blob


def hashes(connection: Connection) -> frozenset[str]:
    """Of every file that some room or account keeps."""
    of_rooms = connection.execute(select(blobs.c.sha256).distinct()).scalars()
    return frozenset(of_rooms) | upload_hashes(connection)


def room_ids(connection: Connection) -> list[str]:
    """Of the rooms that keep files."""
    found = select(blobs.c.hub_id).distinct().order_by(blobs.c.hub_id)
    return list(connection.execute(found).scalars())


def unreferenced(connection: Connection, hub_id: str) -> Unreferenced:
    """Look for every file of a room."""
    known = select(blobs.c.sha256).where(blobs.c.hub_id == hub_id)
    missing = {sha256.encode() for sha256 in connection.execute(known).scalars()}
    mark = _written(connection, hub_id)
    for data in _texts(connection, hub_id):
        if not missing:
            break
        missing -= {sha256 for sha256 in missing if sha256 in data}
    return Unreferenced(
        hub_id=hub_id,
        blobs=frozenset(sha256.decode() for sha256 in missing),
        mark=mark,
    )


def forget(
    connection: Connection, found: Unreferenced, *, at: float, grace_s: float
) -> int:
    """Mark, unmark, and remove those marked for longer than the grace."""
    if _written(connection, found.hub_id) != found.mark:
        return 0
    removed = 0
    mine = blobs.c.hub_id == found.hub_id
    known = select(blobs.c.sha256, blobs.c.unreferenced_since).where(mine)
    for sha256, since in connection.execute(known).all():
        place = mine & (blobs.c.sha256 == sha256)
        if sha256 not in found.blobs:
            if since is not None:
                connection.execute(_unmark.where(place))
        elif since is None:
            marked = update(blobs).where(place).values(unreferenced_since=at)
            connection.execute(marked)
        elif since <= at - grace_s:
            connection.execute(delete(blobs).where(place))
            removed += 1
    return removed


_unmark = update(blobs).values(unreferenced_since=None)


def _written(connection: Connection, hub_id: str) -> int:
    """How many updates and messages the room ever had."""
    edits = select(func.sum(documents.c.last_seq)).where(documents.c.hub_id == hub_id)
    lines = select(func.max(messages.c.seq)).where(messages.c.hub_id == hub_id)
    counts = (connection.execute(count).scalar() for count in (edits, lines))
    return sum(int(count or 0) for count in counts)


def _texts(connection: Connection, hub_id: str) -> Iterator[bytes]:
    """All bytes of the room in which a file may be named; versions last."""

    def of(table: Any, column: Any) -> Select[Any]:
        return (
            select(column)
            .join(documents, documents.c.id == table.c.document_id)
            .where(documents.c.hub_id == hub_id)
        )

    yield from connection.execute(of(snapshots, snapshots.c.state_v1)).scalars()
    yield from connection.execute(of(journal, journal.c.update_v1)).scalars()
    yield from connection.execute(of(quarantine, quarantine.c.update_v1)).scalars()
    said = select(messages.c.text).where(messages.c.hub_id == hub_id)
    for text in connection.execute(said).scalars():
        yield text.encode()
    # newest first: most files that are shown anywhere are shown there
    kept = of(versions, versions.c.state_z).order_by(versions.c.id.desc())
    for packed in connection.execute(kept).scalars():
        yield zlib.decompress(packed)


def _find(connection: Connection, hub_id: str, sha256: str) -> Blob | None:
    question = select(
        blobs.c.sha256, blobs.c.size_bytes, blobs.c.media_type, blobs.c.created_at
    ).where(blobs.c.hub_id == hub_id, blobs.c.sha256 == sha256)
    row = connection.execute(question).first()
    return None if row is None else Blob(**row._mapping)
