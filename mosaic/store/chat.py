"""Chat history, over a connection in the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from mosaic.store import rooms
from mosaic.store.room_tables import room_stanzas
from mosaic.store.schema import messages
from mosaic.workspace.model import Message


def add(
    connection: Connection,
    hub_id: str,
    *,
    message_id: str,
    author_id: str,
    author: str,
    text: str,
    at: float,
) -> Message:
    """Append to a room's history; a message_id that is there already gives
    the message kept under it. Raises NotFound."""
    rooms.get(connection, hub_id)
    known = connection.execute(
        select(messages).where(
            messages.c.hub_id == hub_id, messages.c.message_id == message_id
        )
    ).first()
    if known is not None:
        return Message(**known._mapping)
    message = Message(
        hub_id=hub_id,
        seq=next_seq(connection, hub_id),
        message_id=message_id,
        author_id=author_id,
        author=author,
        text=text,
        at=at,
    )
    values = {column.name: getattr(message, column.name) for column in messages.c}
    connection.execute(insert(messages).values(values))
    return message


def last_seq(connection: Connection, hub_id: str) -> int:
    """The newest number of the room's history, 0 if nothing was ever said."""
    numbers = [0]
    for table in (messages, room_stanzas):
        newest = select(func.max(table.c.seq)).where(table.c.hub_id == hub_id)
        numbers.append(connection.execute(newest).scalar() or 0)
    return max(numbers)


def next_seq(connection: Connection, hub_id: str) -> int:
    """The number of what is said next."""
    return last_seq(connection, hub_id) + 1


def page(
    connection: Connection, hub_id: str, *, before: int | None, limit: int
) -> list[Message]:
    """The newest `limit` messages with seq < before, oldest first.

    Raises NotFound.
    """
    rooms.get(connection, hub_id)
    question = select(messages).where(messages.c.hub_id == hub_id)
    if before is not None:
        question = question.where(messages.c.seq < before)
    question = question.order_by(messages.c.seq.desc()).limit(max(limit, 0))
    rows = connection.execute(question).all()
    return [Message(**row._mapping) for row in reversed(rows)]
