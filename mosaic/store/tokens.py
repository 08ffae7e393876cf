"""Tokens, over a connection in the caller's transaction."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update
from sqlalchemy.dialects import sqlite

from mosaic.store import accounts, rooms
from mosaic.store.database import driver
from mosaic.store.interface import NameTaken, NotFound, StoredToken
from mosaic.store.schema import tokens
from mosaic.workspace.model import Role

_NAMES = tuple(column.name for column in tokens.columns)
_BY_DIGEST = str(
    select(tokens)
    .where(tokens.c.digest == bindparam("digest"))
    .compile(dialect=sqlite.dialect())
)


def add(connection: Connection, token: StoredToken) -> None:
    """Keep a token. Raises NotFound for its account or room."""
    if get(connection, token.digest) is not None:
        raise NameTaken("this token exists")
    if token.account is not None:
        accounts.get(connection, token.account)
    if token.hub_id is not None:
        rooms.get(connection, token.hub_id)
    values = asdict(token)
    values["role"] = None if token.role is None else token.role.value
    connection.execute(insert(tokens).values(values))


def get(connection: Connection, digest: bytes) -> StoredToken | None:
    """The token of that digest, expired or not, or None.

    Whoever comes in asks: SQLite answers in a tenth of the time that SQLAlchemy takes.
    """
    row = driver(connection).execute(_BY_DIGEST, (digest,)).fetchone()
    return None if row is None else _token(dict(zip(_NAMES, row, strict=True)))


def change(
    connection: Connection, digest: bytes, *, role: Role | None, waiting: bool | None
) -> None:
    """Change what is given. Raises NotFound."""
    if get(connection, digest) is None:
        raise NotFound("no such token")
    values: dict[str, str | bool] = {}
    if role is not None:
        values["role"] = role.value
    if waiting is not None:
        values["waiting"] = waiting
    if values:
        where = tokens.c.digest == digest
        connection.execute(update(tokens).where(where).values(values))


def of_participant(
    connection: Connection, hub_id: str, participant_id: str
) -> StoredToken | None:
    """The participant's newest room token, or None."""
    question = select(tokens).where(
        tokens.c.hub_id == hub_id, tokens.c.participant_id == participant_id
    )
    return _first(connection, question.order_by(tokens.c.created_at.desc()))


def waiting(connection: Connection, hub_id: str, *, now: float) -> list[StoredToken]:
    """Those in the lobby, first come first."""
    question = select(tokens).where(
        tokens.c.hub_id == hub_id, tokens.c.waiting, tokens.c.expires_at > now
    )
    rows = connection.execute(question.order_by(tokens.c.created_at, tokens.c.digest))
    return [_token(dict(row._mapping)) for row in rows]


def remove(connection: Connection, digest: bytes) -> None:
    """Forget a token; unknown ones are no error."""
    connection.execute(delete(tokens).where(tokens.c.digest == digest))


def remove_many(
    connection: Connection, *, hub_id: str | None, expired_before: float | None
) -> int:
    """Forget those that meet every given condition, none without one."""
    if hub_id is None and expired_before is None:
        return 0
    statement = delete(tokens)
    if hub_id is not None:
        statement = statement.where(tokens.c.hub_id == hub_id)
    if expired_before is not None:
        statement = statement.where(tokens.c.expires_at < expired_before)
    return connection.execute(statement).rowcount


def _first(
    connection: Connection, question: Select[tuple[object, ...]]
) -> StoredToken | None:
    row = connection.execute(question.limit(1)).first()
    return None if row is None else _token(dict(row._mapping))


def _token(values: dict[str, Any]) -> StoredToken:
    if values["role"] is not None:
        values["role"] = Role(values["role"])
    values["waiting"] = bool(values["waiting"])
    return StoredToken(**values)
