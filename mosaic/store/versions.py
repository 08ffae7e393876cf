"""Versions of documents and who wrote them, over a connection."""

from __future__ import annotations

import json
import zlib
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from mosaic.store import rooms
from mosaic.store.interface import NotFound
from mosaic.store.schema import author_clients, authors, documents, journal, versions
from mosaic.workspace.versions import Author, Reason, Thinning, Version, condemned

LEVEL = 1
"""Of compression: 4.4 times less for a board of 3.7 MB, in 28 ms."""

_FIELDS = [column for column in versions.c if column.name != "state_z"]


def save(
    connection: Connection,
    hub_id: str,
    name: str,
    state: bytes,
    *,
    through_seq: int,
    reason: Reason,
    label: str | None,
    by: str,
    at: float,
) -> Version | None:
    """Keep a state; None if it needs no keeping. Raises NotFound."""
    document = _document(connection, hub_id, name)
    before = newest_seq(connection, document)
    if label is None and through_seq <= before:
        return None
    packed = zlib.compress(state, LEVEL)
    values = {
        "document_id": document,
        "at": at,
        "label": label,
        "made_by": by,
        "reason": reason.value,
        "through_seq": through_seq,
        "authors": _encoded(_since(connection, document, before)),
        "size_bytes": len(state),
        "kept_bytes": len(packed),
        "state_z": packed,
    }
    made = connection.execute(insert(versions).values(values)).inserted_primary_key
    assert made is not None
    return get(connection, hub_id, name, int(made[0]))


def every(connection: Connection, hub_id: str, name: str | None) -> list[Version]:
    """Newest first, without states. Raises NotFound for the room."""
    rooms.get(connection, hub_id)
    wanted = _of(hub_id).order_by(versions.c.id.desc())
    if name is not None:
        wanted = wanted.where(documents.c.name == name)
    return [_version(row) for row in connection.execute(wanted)]


def get(connection: Connection, hub_id: str, name: str, version: int) -> Version:
    """One of them. Raises NotFound."""
    wanted = _of(hub_id).where(documents.c.name == name, versions.c.id == version)
    row = connection.execute(wanted).first()
    if row is None:
        raise NotFound(f"{name} has no version {version}")
    return _version(row)


def state(connection: Connection, hub_id: str, name: str, version: int) -> bytes:
    """The full update. Raises NotFound."""
    found = get(connection, hub_id, name, version)
    wanted = select(versions.c.state_z).where(versions.c.id == found.id)
    return zlib.decompress(connection.execute(wanted).scalar_one())


def relabel(
    connection: Connection, hub_id: str, name: str, version: int, label: str | None
) -> Version:
    """Another name, or none. Raises NotFound."""
    found = get(connection, hub_id, name, version)
    place = versions.c.id == found.id
    connection.execute(update(versions).where(place).values(label=label))
    return get(connection, hub_id, name, version)


def remove(connection: Connection, hub_id: str, name: str, version: int) -> None:
    """Forget one. Raises NotFound."""
    found = get(connection, hub_id, name, version)
    connection.execute(delete(versions).where(versions.c.id == found.id))


def thin(connection: Connection, hub_id: str, rule: Thinning, *, now: float) -> int:
    """Forget what the rule condemns in a room. Raises NotFound."""
    gone = condemned(every(connection, hub_id, None), now=now, rule=rule)
    for version in gone:
        connection.execute(delete(versions).where(versions.c.id == version))
    return len(gone)


def newest_seq(connection: Connection, document: int) -> int:
    """How far the newest version reaches, 0 if there is none."""
    wanted = select(func.max(versions.c.through_seq)).where(
        versions.c.document_id == document
    )
    return int(connection.execute(wanted).scalar() or 0)


# Authors ------------------------------------------------------------------
def note_writer(
    connection: Connection, document: int, writer: Author, *, at: float
) -> None:
    """Keep a name, and whose each new Yjs client is."""
    values = {
        "document_id": document,
        "author": writer.id,
        "name": writer.name,
        "account": writer.account,
        "first_at": at,
        "last_seq": 0,
    }
    named = {"name": writer.name, "account": writer.account}
    connection.execute(
        upsert(authors)
        .values(values)
        .on_conflict_do_update(index_elements=["document_id", "author"], set_=named)
    )
    for client in writer.client_ids:
        owned = {"document_id": document, "client_id": client, "author": writer.id}
        connection.execute(
            upsert(author_clients).values(owned).on_conflict_do_nothing()
        )


def fold_authors(
    connection: Connection, document: int, *, through_seq: int, at: float
) -> None:
    """Remember who wrote the updates that a snapshot is about to replace."""
    wrote = (
        select(journal.c.author, func.max(journal.c.seq).label("seq"))
        .where(journal.c.document_id == document, journal.c.seq <= through_seq)
        .group_by(journal.c.author)
    )
    for author, seq in connection.execute(wrote).all():
        values = {
            "document_id": document,
            "author": author,
            "name": "",
            "account": None,
            "first_at": at,
            "last_seq": seq,
        }
        connection.execute(
            upsert(authors)
            .values(values)
            .on_conflict_do_update(
                index_elements=["document_id", "author"], set_={"last_seq": seq}
            )
        )


def every_author(connection: Connection, hub_id: str, name: str) -> list[Author]:
    """Everybody who ever edited, first come first. Raises NotFound for the room."""
    rooms.get(connection, hub_id)
    document = connection.execute(_id_of(hub_id, name)).scalar()
    if document is None:
        return []
    clients: dict[str, list[int]] = {}
    owned = select(author_clients.c.author, author_clients.c.client_id).where(
        author_clients.c.document_id == document
    )
    for author, client in connection.execute(owned.order_by("client_id")):
        clients.setdefault(author, []).append(client)
    people = (
        select(authors)
        .where(authors.c.document_id == document)
        .order_by(authors.c.first_at, authors.c.author)
    )
    return [
        Author(
            id=row.author,
            name=row.name,
            account=row.account,
            client_ids=tuple(clients.get(row.author, ())),
        )
        for row in connection.execute(people)
    ]


def _since(connection: Connection, document: int, seq: int) -> list[Author]:
    """Who wrote updates with greater numbers."""
    recent = select(journal.c.author).where(
        journal.c.document_id == document, journal.c.seq > seq
    )
    folded = select(authors.c.author).where(
        authors.c.document_id == document, authors.c.last_seq > seq
    )
    found = set(connection.execute(recent.distinct()).scalars())
    found |= set(connection.execute(folded).scalars())
    known = select(authors).where(authors.c.document_id == document)
    rows = {row.author: row for row in connection.execute(known)}
    return [
        Author(id=author, name=rows[author].name, account=rows[author].account)
        if author in rows
        else Author(id=author, name="", account=None)
        for author in sorted(found)
    ]


def _encoded(people: list[Author]) -> str:
    return json.dumps([[one.id, one.name, one.account] for one in people])


# --------------------------------------------------------------------------
def _of(hub_id: str) -> Select[Any]:
    return (
        select(*_FIELDS, documents.c.name.label("document"))
        .join(documents, documents.c.id == versions.c.document_id)
        .where(documents.c.hub_id == hub_id)
    )


def _id_of(hub_id: str, name: str) -> Select[Any]:
    return select(documents.c.id).where(
        documents.c.hub_id == hub_id, documents.c.name == name
    )


def _document(connection: Connection, hub_id: str, name: str) -> int:
    found = connection.execute(_id_of(hub_id, name)).scalar()
    if found is None:
        raise NotFound(f"there is no document {name}")
    return int(found)


def _version(row: Row[Any]) -> Version:
    return Version(
        id=row.id,
        document=row.document,
        at=row.at,
        label=row.label,
        by=row.made_by,
        reason=Reason(row.reason),
        through_seq=row.through_seq,
        size_bytes=row.size_bytes,
        kept_bytes=row.kept_bytes,
        authors=tuple(
            Author(id=author, name=name, account=account)
            for author, name, account in json.loads(row.authors)
        ),
    )
