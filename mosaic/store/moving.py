"""A whole room in one transaction, and what an export reads of one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, select

from mosaic.store import rooms
from mosaic.store.schema import blobs, documents, messages, snapshots
from mosaic.workspace.model import Blob, Message, Room, RoomContent

ROWS_AT_ONCE = 500
FIRST_SEQ = 1
"""What came with a document counts as its first update, so that the keeper of
versions sees that there is something to keep."""


def add_with_content(
    connection: Connection, room: Room, content: RoomContent, *, at: float
) -> None:
    """Keep a new room with all that is in it, or nothing.

    Documents get new epochs. Raises NameTaken; NotFound for the owner.
    """
    rooms.add(connection, room)
    for name, state in content.documents:
        values = {
            "hub_id": room.hub_id,
            "name": name,
            "epoch": str(uuid.uuid4()),
            "last_seq": FIRST_SEQ,
        }
        made = connection.execute(insert(documents).values(values))
        assert made.inserted_primary_key is not None
        snapshot = {
            "document_id": made.inserted_primary_key[0],
            "through_seq": FIRST_SEQ,
            "at": at,
            "state_v1": state,
        }
        connection.execute(insert(snapshots).values(snapshot))
    lines = (
        {
            "hub_id": room.hub_id,
            "seq": seq,
            "message_id": line.message_id,
            "author_id": line.author_id,
            "author": line.author,
            "text": line.text,
            "at": line.at,
        }
        for seq, line in enumerate(content.messages, 1)
    )
    for rows in _parts(lines):
        connection.execute(insert(messages), rows)
    files = (
        {
            "hub_id": room.hub_id,
            "sha256": blob.sha256,
            "size_bytes": blob.size_bytes,
            "media_type": blob.media_type,
            "created_at": blob.created_at,
        }
        for blob in content.blobs
    )
    for rows in _parts(files):
        connection.execute(insert(blobs), rows)


def messages_after(
    connection: Connection, hub_id: str, *, after: int, limit: int
) -> list[Message]:
    """The oldest `limit` messages with seq > after. Raises NotFound."""
    rooms.get(connection, hub_id)
    question = (
        select(messages)
        .where(messages.c.hub_id == hub_id, messages.c.seq > after)
        .order_by(messages.c.seq)
        .limit(max(limit, 0))
    )
    return [Message(**row._mapping) for row in connection.execute(question)]


def every_blob(connection: Connection, hub_id: str) -> list[Blob]:
    """All files that a room refers to, by hash. Raises NotFound."""
    rooms.get(connection, hub_id)
    question = (
        select(
            blobs.c.sha256, blobs.c.size_bytes, blobs.c.media_type, blobs.c.created_at
        )
        .where(blobs.c.hub_id == hub_id)
        .order_by(blobs.c.sha256)
    )
    return [Blob(**row._mapping) for row in connection.execute(question)]


def _parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(rows)
    while part := list(islice(iterator, ROWS_AT_ONCE)):
        yield part
