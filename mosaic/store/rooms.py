"""Rooms and their members, over a connection in the caller's transaction."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from mosaic.store import accounts
from mosaic.store.database import driver
from mosaic.store.interface import NameTaken, NotFound
from mosaic.store.schema import members, rooms, tokens
from mosaic.workspace.model import Role, Room

_NAMES = tuple(column.name for column in rooms.columns)
_BY_HUB_ID = str(
    select(rooms)
    .where(rooms.c.hub_id == bindparam("hub_id"))
    .compile(dialect=sqlite.dialect())
)
_FLAGS = tuple(c.name for c in rooms.columns if isinstance(c.type, Boolean))


def add(connection: Connection, room: Room) -> None:
    """Keep a new room. Raises NameTaken; NotFound for its owner."""
    if _first(connection, select(rooms).where(rooms.c.hub_id == room.hub_id)):
        raise NameTaken(f"the room {room.hub_id} exists")
    _check(connection, room)
    connection.execute(insert(rooms).values(_values(room)))


def get(connection: Connection, hub_id: str) -> Room:
    """One room. Raises NotFound.

    Whoever comes in asks: SQLite answers in a tenth of the time that SQLAlchemy takes.
    """
    row = driver(connection).execute(_BY_HUB_ID, (hub_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no room {hub_id}")
    values = dict(zip(_NAMES, row, strict=True))
    return Room(**values | {flag: bool(values[flag]) for flag in _FLAGS})


def by_alias(connection: Connection, alias: str) -> Room:
    """The room of that alias. Raises NotFound."""
    row = _first(connection, select(rooms).where(rooms.c.alias == alias))
    if row is None:
        raise NotFound(f"no room has the alias {alias}")
    return _room(row)


def every(connection: Connection, *, member: str | None = None) -> list[Room]:
    """All, or those that an account owns or is a member of; oldest first."""
    question = select(rooms).order_by(rooms.c.created_at, rooms.c.hub_id)
    if member is not None:
        of_member = select(members.c.hub_id).where(members.c.account == member)
        question = question.where(
            or_(rooms.c.owner == member, rooms.c.hub_id.in_(of_member))
        )
    return [_room(row) for row in connection.execute(question)]


def change(connection: Connection, room: Room) -> None:
    """Write all but hub_id and created_at. Raises NotFound, NameTaken."""
    get(connection, room.hub_id)
    _check(connection, room)
    values = _values(room)
    del values["hub_id"], values["created_at"]
    connection.execute(
        update(rooms).where(rooms.c.hub_id == room.hub_id).values(values)
    )


def roles(connection: Connection, hub_id: str) -> dict[str, Role]:
    """Roles by account; the owner is a host. Raises NotFound."""
    owner = get(connection, hub_id).owner
    question = select(members.c.account, members.c.role)
    rows = connection.execute(question.where(members.c.hub_id == hub_id))
    found = {account: Role(role) for account, role in rows}
    if owner is not None:
        found[owner] = Role.HOST
    return found


def set_member(
    connection: Connection, hub_id: str, account: str, role: Role | None
) -> None:
    """Give or take (None) a role, tokens included. Raises NotFound for either."""
    room = get(connection, hub_id)
    known = accounts.get(connection, account)
    removed = connection.execute(
        delete(members).where(members.c.hub_id == hub_id, members.c.account == account)
    ).rowcount
    if role is not None:
        values = {"hub_id": hub_id, "account": account, "role": role.value}
        connection.execute(insert(members).values(values))
    if known.admin or room.owner == account:
        return  # hosts whatever the table says
    held = (tokens.c.hub_id == hub_id) & (tokens.c.account == account)
    if role is not None:
        inside = {"role": role.value, "waiting": False}
        connection.execute(update(tokens).where(held).values(inside))
    elif removed:
        connection.execute(delete(tokens).where(held))


def _check(connection: Connection, room: Room) -> None:
    """The owner exists and the alias is free."""
    if room.owner is not None:
        accounts.get(connection, room.owner)
    if room.alias is None:
        return
    others = select(rooms.c.hub_id).where(
        rooms.c.alias == room.alias, rooms.c.hub_id != room.hub_id
    )
    if connection.execute(others).first() is not None:
        raise NameTaken(f"the alias {room.alias} is in use")


def _first(
    connection: Connection, question: Select[tuple[object, ...]]
) -> Row[tuple[object, ...]] | None:
    return connection.execute(question).first()


def _room(row: Row[tuple[object, ...]]) -> Room:
    return Room(**row._mapping)


def _values(room: Room) -> dict[str, object]:
    return {
        "hub_id": room.hub_id,
        "name": room.name,
        "pin": room.pin,
        "created_at": room.created_at,
        "owner": room.owner,
        "alias": room.alias,
        "locked": room.locked,
        "lobby": room.lobby,
        "closed_at": room.closed_at,
        "moderated": room.moderated,
        "open_to_accounts": room.open_to_accounts,
    }
