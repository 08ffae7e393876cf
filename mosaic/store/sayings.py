"""The archive of rooms, over a connection in the caller's transaction."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from mosaic.store import accounts, chat, rooms
from mosaic.store.interface import NotFound
from mosaic.store.room_tables import room_bans, room_stanzas, room_subjects
from mosaic.store.schema import members, messages, tokens
from mosaic.workspace.archive import Entry, Kind, Saying, Span, Subject

SECRET_BYTES = 32

_of_both = (messages.c.hub_id == room_stanzas.c.hub_id) & (
    messages.c.seq == room_stanzas.c.seq
)
_LINES = select(
    messages,
    room_stanzas.c.occupant_id,
    room_stanzas.c.stanza_id,
    room_stanzas.c.stanza,
).select_from(messages.outerjoin(room_stanzas, _of_both))
_OTHERS = select(room_stanzas).where(room_stanzas.c.kind != Kind.LINE.value)


def add(connection: Connection, hub_id: str, saying: Saying) -> Entry:
    """Keep a saying once, and change what it is about. Raises NotFound."""
    known = connection.execute(
        select(room_stanzas.c.seq).where(
            room_stanzas.c.hub_id == hub_id,
            room_stanzas.c.message_id == saying.message_id,
        )
    ).scalar()
    if known is not None:
        return one(connection, hub_id, known)
    if saying.kind is Kind.LINE:
        line = chat.add(
            connection,
            hub_id,
            message_id=saying.message_id,
            author_id=saying.author_id,
            author=saying.author,
            text=saying.text,
            at=saying.at,
        )
        seq = line.seq
    else:
        rooms.get(connection, hub_id)
        seq = chat.next_seq(connection, hub_id)
        if saying.about is not None:
            _change_line(connection, hub_id, saying)
    values = {
        "hub_id": hub_id,
        "seq": seq,
        "kind": saying.kind.value,
        "message_id": saying.message_id,
        "author_id": saying.author_id,
        "author": saying.author,
        "occupant_id": saying.occupant_id,
        "stanza_id": saying.stanza_id,
        "at": saying.at,
        "about": saying.about,
        "stanza": saying.stanza,
    }
    connection.execute(insert(room_stanzas).values(values))
    return Entry(
        **{**values, "kind": saying.kind},  # type: ignore[arg-type]  # as above
        text=saying.text if saying.kind is Kind.LINE else "",
    )


def _change_line(connection: Connection, hub_id: str, saying: Saying) -> None:
    """The text as it reads from now on; what is retracted leaves no copy."""
    this = (messages.c.hub_id == hub_id) & (messages.c.seq == saying.about)
    if saying.kind is Kind.EDIT:
        # what has been taken back stays so
        this &= messages.c.retracted_at.is_(None)
        values = {"text": saying.text, "edited_at": saying.at}
    else:
        values = {"text": "", "retracted_at": saying.at}
    changed = connection.execute(update(messages).where(this).values(values))
    if not changed.rowcount:
        raise NotFound(f"there is no line {saying.about}")
    if saying.kind is Kind.RETRACTION:
        of_room = room_stanzas.c.hub_id == hub_id
        connection.execute(
            update(room_stanzas)
            .where(of_room, room_stanzas.c.seq == saying.about)
            .values(stanza=None)
        )
        connection.execute(
            delete(room_stanzas).where(
                of_room,
                room_stanzas.c.about == saying.about,
                room_stanzas.c.kind == Kind.EDIT.value,
            )
        )


def page(connection: Connection, hub_id: str, span: Span) -> list[Entry]:
    """Entries of a span, oldest first. Raises NotFound."""
    rooms.get(connection, hub_id)
    limit = max(span.limit, 0)
    found = [
        *(
            _line(row)
            for row in connection.execute(_cut(_LINES, messages, hub_id, span))
        ),
        *(
            _other(row)
            for row in connection.execute(_cut(_OTHERS, room_stanzas, hub_id, span))
        ),
    ]
    found.sort(key=lambda entry: entry.seq)
    if not span.newest:
        return found[:limit]
    return found[-limit:] if limit else []


def count(connection: Connection, hub_id: str, span: Span) -> int:
    """How many a span has. Raises NotFound."""
    rooms.get(connection, hub_id)
    lines = _within(messages, hub_id, span)
    others = _within(room_stanzas, hub_id, span)
    others.append(room_stanzas.c.kind != Kind.LINE.value)
    total = 0
    for table, where in ((messages, lines), (room_stanzas, others)):
        question = select(func.count()).select_from(table).where(*where)
        total += connection.execute(question).scalar() or 0
    return total


def one(connection: Connection, hub_id: str, seq: int) -> Entry:
    """One entry. Raises NotFound."""
    found = page(connection, hub_id, Span(after=seq - 1, before=seq + 1, limit=1))
    if not found:
        raise NotFound(f"nothing was said with the number {seq}")
    return found[0]


def find_line(
    connection: Connection, hub_id: str, *, occupant_id: str, stanza_id: str
) -> Entry | None:
    """The newest line of an occupant with that stanza id, or None."""
    seq = connection.execute(
        select(func.max(room_stanzas.c.seq)).where(
            room_stanzas.c.hub_id == hub_id,
            room_stanzas.c.occupant_id == occupant_id,
            room_stanzas.c.stanza_id == stanza_id,
            room_stanzas.c.kind == Kind.LINE.value,
        )
    ).scalar()
    return None if seq is None else one(connection, hub_id, seq)


def subject(connection: Connection, hub_id: str) -> Subject | None:
    """The subject, or None if nobody has asked yet. Raises NotFound."""
    rooms.get(connection, hub_id)
    this = room_subjects.c.hub_id == hub_id
    row = connection.execute(select(room_subjects).where(this)).first()
    if row is None:
        return None
    return Subject(subject=row.subject, author=row.author, at=row.at, secret=row.secret)


def open_subject(connection: Connection, hub_id: str) -> Subject:
    """The subject, made if there is none. Raises NotFound."""
    found = subject(connection, hub_id)
    if found is None:
        secret = secrets.token_bytes(SECRET_BYTES)
        found = Subject(subject="", author="", at=0.0, secret=secret)
        connection.execute(
            insert(room_subjects).values(
                hub_id=hub_id, subject="", author="", at=0.0, secret=secret
            )
        )
    return found


def set_subject(
    connection: Connection, hub_id: str, *, text: str, author: str, at: float
) -> Subject:
    """Another subject. Raises NotFound."""
    secret = open_subject(connection, hub_id).secret
    connection.execute(
        update(room_subjects)
        .where(room_subjects.c.hub_id == hub_id)
        .values(subject=text, author=author, at=at)
    )
    return Subject(subject=text, author=author, at=at, secret=secret)


def banned(connection: Connection, hub_id: str) -> list[str]:
    """Accounts, sorted. Raises NotFound."""
    rooms.get(connection, hub_id)
    question = select(room_bans.c.account).where(room_bans.c.hub_id == hub_id)
    return list(connection.execute(question.order_by(room_bans.c.account)).scalars())


def set_banned(
    connection: Connection, hub_id: str, account: str, is_banned: bool
) -> None:
    """Ban or not. Raises NotFound for the room or the account."""
    accounts.get(connection, account)
    already = account in banned(connection, hub_id)
    this = (room_bans.c.hub_id == hub_id) & (room_bans.c.account == account)
    if already and not is_banned:
        connection.execute(delete(room_bans).where(this))
    elif is_banned and not already:
        row = {"hub_id": hub_id, "account": account}
        connection.execute(insert(room_bans).values(row))
        for table in (members, tokens):
            of_account = (table.c.hub_id == hub_id) & (table.c.account == account)
            connection.execute(delete(table).where(of_account))


def prolong(connection: Connection, digest: bytes, expires_at: float) -> None:
    """Let a token live longer. Raises NotFound."""
    this = tokens.c.digest == digest
    changed = connection.execute(
        update(tokens).where(this).values(expires_at=expires_at)
    )
    if not changed.rowcount:
        raise NotFound("no such token")


def _within(table: Table, hub_id: str, span: Span) -> list[ColumnElement[bool]]:
    where = [table.c.hub_id == hub_id]
    if span.after is not None:
        where.append(table.c.seq > span.after)
    if span.before is not None:
        where.append(table.c.seq < span.before)
    if span.start is not None:
        where.append(table.c.at >= span.start)
    if span.end is not None:
        where.append(table.c.at <= span.end)
    return where


def _cut(question: Select[Any], table: Table, hub_id: str, span: Span) -> Select[Any]:
    seq = table.c.seq
    return (
        question.where(*_within(table, hub_id, span))
        .order_by(seq.desc() if span.newest else seq)
        .limit(max(span.limit, 0))
    )


def _line(row: Row[Any]) -> Entry:
    values = dict(row._mapping)
    values["occupant_id"] = values["occupant_id"] or ""
    return Entry(kind=Kind.LINE, **values)


def _other(row: Row[Any]) -> Entry:
    values = dict(row._mapping)
    values["kind"] = Kind(values["kind"])
    return Entry(text="", **values)
