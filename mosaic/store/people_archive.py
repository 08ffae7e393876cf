"""Archives and waiting messages, over a connection in the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select

from mosaic.store.database import driver
from mosaic.store.errors import NotFound
from mosaic.store.people import (
    MAX_COUNT,
    Archived,
    ArchivePage,
    ArchiveQuestion,
    Waiting,
)
from mosaic.store.people_schema import archive, waiting
from mosaic.store.schema import accounts

# Every message in the house runs the first: past SQLAlchemy, as the journal does.
_KEEP = (
    "INSERT OR IGNORE INTO xmpp_archive (owner, id, peer, resource, sent, raw)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_WAIT = "INSERT OR IGNORE INTO xmpp_waiting (owner, id, raw) VALUES (?, ?, ?)"
_HOW_MANY = "SELECT COUNT(*) FROM xmpp_waiting WHERE owner = ?"
_IS_THERE = "SELECT 1 FROM accounts WHERE name = ?"
PRUNED_AT_ONCE = 5000
"""Rows that one commit of the chore deletes: others write meanwhile."""


def keep(
    connection: Connection,
    archived: Sequence[Archived],
    held: Sequence[Waiting],
    *,
    limit: int,
) -> frozenset[tuple[str, int]]:
    """Archive and store for later; what is past the limit."""
    database = driver(connection)
    refused: frozenset[tuple[str, int]] = frozenset()
    if held:
        refused = _hold(database, held, limit)
        if refused:
            archived = [row for row in archived if (row[0], row[1]) not in refused]
    _insert(database, _KEEP, archived)
    return refused


def _hold(
    database: sqlite3.Connection, held: Sequence[Waiting], limit: int
) -> frozenset[tuple[str, int]]:
    free: dict[str, int] = {}
    fitting: list[Waiting] = []
    refused: set[tuple[str, int]] = set()
    for one in held:
        if one.owner not in free:
            (there,) = database.execute(_HOW_MANY, (one.owner,)).fetchone()
            free[one.owner] = limit - there
        if free[one.owner] > 0:
            free[one.owner] -= 1
            fitting.append(one)
        else:
            refused.add((one.owner, one.id))
    _insert(database, _WAIT, fitting)
    return frozenset(refused)


def _insert(
    database: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]
) -> None:
    """All rows but those of accounts that are gone."""
    database.execute("SAVEPOINT many")
    try:
        database.executemany(statement, rows)
    except sqlite3.IntegrityError:
        database.execute("ROLLBACK TO many")
        owners = {str(row[0]) for row in rows}
        there = {
            name for name in owners if database.execute(_IS_THERE, (name,)).fetchone()
        }
        database.executemany(statement, [row for row in rows if row[0] in there])
    database.execute("RELEASE many")


def page(connection: Connection, owner: str, question: ArchiveQuestion) -> ArchivePage:
    """A page of an archive. Raises NotFound for an id that is not there."""
    for wanted in (question.above, question.below, question.after, question.before):
        if wanted is not None:
            _check_there(connection, owner, (wanted,))
    if question.ids is not None:
        _check_there(connection, owner, question.ids)
    matching = _matching(owner, question)
    within = list(matching)
    if question.after is not None:
        within.append(archive.c.id > question.after)
    if question.before is not None:
        within.append(archive.c.id < question.before)
    backwards = question.newest or question.before is not None
    order = archive.c.id.desc() if backwards else archive.c.id.asc()
    limit = max(question.limit, 0)
    rows = connection.execute(
        select(archive)
        .where(and_(*within))
        .order_by(order)
        .offset(question.skip)
        .limit(limit + 1)
    ).all()
    found = [Archived(*row) for row in rows[:limit]]
    if backwards:
        found.reverse()
    count = _count(connection, matching)
    index = None
    if count is not None and found:
        index = _count(connection, [*matching, archive.c.id < found[0].id])
    return ArchivePage(
        messages=tuple(found), complete=len(rows) <= limit, count=count, index=index
    )


def _matching(owner: str, question: ArchiveQuestion) -> list[ColumnElement[bool]]:
    column = archive.c
    conditions: list[ColumnElement[bool]] = [column.owner == owner]
    if question.peer is not None:
        conditions.append(column.peer == question.peer)
    if question.resource:
        conditions.append(column.resource == question.resource)
    if question.first is not None:
        conditions.append(column.id >= question.first)
    if question.last is not None:
        conditions.append(column.id <= question.last)
    if question.above is not None:
        conditions.append(column.id > question.above)
    if question.below is not None:
        conditions.append(column.id < question.below)
    if question.ids is not None:
        conditions.append(column.id.in_(question.ids))
    return conditions


def _count(
    connection: Connection, conditions: Sequence[ColumnElement[bool]]
) -> int | None:
    some = select(archive.c.id).where(and_(*conditions)).limit(MAX_COUNT + 1)
    found = connection.execute(select(func.count()).select_from(some.subquery()))
    count = int(found.scalar_one())
    return count if count <= MAX_COUNT else None


def _check_there(connection: Connection, owner: str, ids: Sequence[int]) -> None:
    wanted = set(ids)
    found = connection.execute(
        select(func.count()).where(archive.c.owner == owner, archive.c.id.in_(wanted))
    ).scalar_one()
    if found != len(wanted):
        raise NotFound("the archive has no such message")


def ends(connection: Connection, owner: str) -> tuple[int, int] | None:
    """The oldest and the newest id."""
    low, high = connection.execute(
        select(func.min(archive.c.id), func.max(archive.c.id)).where(
            archive.c.owner == owner
        )
    ).one()
    return None if low is None else (int(low), int(high))


def prune(connection: Connection, *, before: int) -> int:
    """Forget some of the older messages, at most PRUNED_AT_ONCE; how many."""
    gone = 0
    for owner in connection.execute(select(accounts.c.name)).scalars().all():
        old = (
            select(archive.c.id)
            .where(archive.c.owner == owner, archive.c.id < before)
            .order_by(archive.c.id)
            .limit(PRUNED_AT_ONCE - gone)
        )
        removed = connection.execute(
            delete(archive).where(archive.c.owner == owner, archive.c.id.in_(old))
        )
        gone += removed.rowcount
        if gone >= PRUNED_AT_ONCE:
            break
    return gone


def held(connection: Connection, owner: str) -> list[Waiting]:
    """What waits for an account, oldest first."""
    rows = connection.execute(
        select(waiting).where(waiting.c.owner == owner).order_by(waiting.c.id)
    )
    return [Waiting(*row) for row in rows]


def drop_held(connection: Connection, owner: str, ids: Iterable[int]) -> None:
    """These wait no more."""
    driver(connection).executemany(
        "DELETE FROM xmpp_waiting WHERE owner = ? AND id = ?",
        [(owner, one) for one in ids],
    )
