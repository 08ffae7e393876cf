"""Chat history, over a connection in the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from mosaic.store import rooms
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
    newest = select(func.max(messages.c.seq)).where(messages.c.hub_id == hub_id)
    message = Message(
        hub_id=hub_id,
        seq=(connection.execute(newest).scalar() or 0) + 1,
        message_id=message_id,
        author_id=author_id,
        author=author,
        text=text,
        at=at,
    )
    values = {column.name: getattr(message, column.name) for column in messages.c}
    connection.execute(insert(messages).values(values))
    return message


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
