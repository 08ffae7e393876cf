"""Rosters, blocks and preferences, over a connection in the caller's
transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from mosaic.store import accounts
from mosaic.store.database import driver
from mosaic.store.errors import NotFound
from mosaic.store.people import PersonRecord, Preferences, RosterChange
from mosaic.store.people_schema import blocked, contacts, people
from mosaic.wire.xmpp.subscription import Contact

# Every login asks these four: past SQLAlchemy, which would take 25 times as long.
_ACCOUNT = "SELECT 1 FROM accounts WHERE name = ?"
_KEPT = "SELECT roster_version, preferences FROM xmpp_people WHERE account = ?"
_CONTACTS = (
    'SELECT jid, name, groups, listed, "to", from_, ask, approved, asking'
    " FROM xmpp_contacts WHERE owner = ? ORDER BY jid"
)
_BLOCKED = "SELECT jid FROM xmpp_blocked WHERE owner = ?"


def person(connection: Connection, account: str) -> PersonRecord:
    """All that is kept of an account. Raises NotFound."""
    database, name = driver(connection), (account,)
    if database.execute(_ACCOUNT, name).fetchone() is None:
        raise NotFound(f"there is no account {account}")
    kept = database.execute(_KEPT, name).fetchone()
    return PersonRecord(
        contacts=tuple(_contact(row) for row in database.execute(_CONTACTS, name)),
        blocked=frozenset(jid for (jid,) in database.execute(_BLOCKED, name)),
        preferences=Preferences() if kept is None else _preferences(kept[1]),
        roster_version=0 if kept is None else kept[0],
    )


def change_rosters(connection: Connection, changes: Sequence[RosterChange]) -> None:
    """Write each contact as it is now. Raises NotFound."""
    for change in changes:
        _ensure(connection, change.owner)
        contact = change.contact
        connection.execute(
            delete(contacts).where(
                contacts.c.owner == change.owner, contacts.c.jid == contact.jid
            )
        )
        if not contact.is_blank:
            values = {
                **asdict(contact),
                "owner": change.owner,
                "groups": json.dumps(contact.groups),
            }
            connection.execute(insert(contacts).values(values))
        connection.execute(
            people.update()
            .where(people.c.account == change.owner)
            .values(roster_version=change.version)
        )


def set_blocked(connection: Connection, account: str, jids: frozenset[str]) -> None:
    """Write the whole list. Raises NotFound."""
    accounts.get(connection, account)
    connection.execute(delete(blocked).where(blocked.c.owner == account))
    rows = [{"owner": account, "jid": jid} for jid in sorted(jids)]
    if rows:
        connection.execute(insert(blocked), rows)


def set_preferences(connection: Connection, account: str, wanted: Preferences) -> None:
    """Write them. Raises NotFound."""
    _ensure(connection, account)
    connection.execute(
        people.update()
        .where(people.c.account == account)
        .values(preferences=json.dumps(asdict(wanted)))
    )


def _ensure(connection: Connection, account: str) -> None:
    accounts.get(connection, account)
    known = select(people.c.account).where(people.c.account == account)
    if connection.execute(known).first() is None:
        values = {
            "account": account,
            "roster_version": 0,
            "preferences": json.dumps(asdict(Preferences())),
        }
        connection.execute(insert(people).values(values))


def _contact(row: tuple[Any, ...]) -> Contact:
    jid, name, groups, listed, to, from_, ask, approved, asking = row
    return Contact(
        jid=jid,
        name=name,
        groups=tuple(json.loads(groups)),
        listed=bool(listed),
        to=bool(to),
        from_=bool(from_),
        ask=bool(ask),
        approved=bool(approved),
        asking=asking,
    )


def _preferences(text: str) -> Preferences:
    values = json.loads(text)
    return Preferences(
        default=values["default"],
        always=tuple(values["always"]),
        never=tuple(values["never"]),
    )
