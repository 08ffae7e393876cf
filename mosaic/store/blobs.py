"""Which room refers to which file, over a connection."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from mosaic.store import rooms
from mosaic.store.interface import NotFound
from mosaic.store.schema import blobs
from mosaic.workspace.model import Blob


def add(connection: Connection, hub_id: str, blob: Blob) -> None:
    """Note a reference; the first one stays. Raises NotFound."""
    rooms.get(connection, hub_id)
    if _find(connection, hub_id, blob.sha256) is None:
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


def _find(connection: Connection, hub_id: str, sha256: str) -> Blob | None:
    question = select(
        blobs.c.sha256, blobs.c.size_bytes, blobs.c.media_type, blobs.c.created_at
    ).where(blobs.c.hub_id == hub_id, blobs.c.sha256 == sha256)
    row = connection.execute(question).first()
    return None if row is None else Blob(**row._mapping)
