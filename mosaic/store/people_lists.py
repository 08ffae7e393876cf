"""Rosters, blocks and preferences, over a connection in the caller's
transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Row, delete, insert, select

from mosaic.store import accounts
from mosaic.store.people import PersonRecord, Preferences, RosterChange
from mosaic.store.people_schema import blocked, contacts, people
from mosaic.wire.xmpp.subscription import Contact


def person(connection: Connection, account: str) -> PersonRecord:
    """All that is kept of an account. Raises NotFound."""
    accounts.get(connection, account)
    kept = connection.execute(select(people).where(people.c.account == account)).first()
    listed = connection.execute(
        select(contacts).where(contacts.c.owner == account).order_by(contacts.c.jid)
    )
    shut_out = select(blocked.c.jid).where(blocked.c.owner == account)
    return PersonRecord(
        contacts=tuple(_contact(row) for row in listed),
        blocked=frozenset(connection.execute(shut_out).scalars()),
        preferences=Preferences() if kept is None else _preferences(kept.preferences),
        roster_version=0 if kept is None else kept.roster_version,
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


def _contact(row: Row[tuple[object, ...]]) -> Contact:
    values = dict(row._mapping)
    del values["owner"]
    values["groups"] = tuple(json.loads(values["groups"]))
    return Contact(**values)


def _preferences(text: str) -> Preferences:
    values = json.loads(text)
    return Preferences(
        default=values["default"],
        always=tuple(values["always"]),
        never=tuple(values["never"]),
    )
