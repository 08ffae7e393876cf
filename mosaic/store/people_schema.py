"""The tables of XMPP's people. Part of the one metadata of the schema."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from mosaic.store.schema import metadata

ADDRESS = 3071
"""Characters of the longest address (RFC 7622 section 3.1)."""


def _owner(name: str = "owner") -> Column[str]:
    account = ForeignKey("accounts.name", ondelete="CASCADE")
    return Column(name, String(64), account, primary_key=True)


def _id() -> Column[int]:
    return Column("id", BigInteger, primary_key=True, autoincrement=False)


# Rows of an account lie together: its pages are read in order.
archive = Table(
    "xmpp_archive",
    metadata,
    _owner(),
    _id(),
    Column("peer", String(ADDRESS), nullable=False),
    Column("resource", String(ADDRESS), nullable=False),
    Column("sent", Boolean, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Index(None, "owner", "peer", "id"),
    sqlite_with_rowid=False,
)

waiting = Table(
    "xmpp_waiting",
    metadata,
    _owner(),
    _id(),
    Column("raw", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

people = Table(
    "xmpp_people",
    metadata,
    _owner("account"),
    Column("roster_version", Integer, nullable=False),
    Column("preferences", Text, nullable=False),
)
"""preferences: JSON of store.people.Preferences."""

contacts = Table(
    "xmpp_contacts",
    metadata,
    _owner(),
    Column("jid", String(ADDRESS), primary_key=True),
    Column("name", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("to", Boolean, nullable=False),
    Column("from_", Boolean, nullable=False),
    Column("ask", Boolean, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("asking", LargeBinary, nullable=False),
)
"""groups: a JSON list."""

blocked = Table(
    "xmpp_blocked",
    metadata,
    _owner(),
    Column("jid", String(ADDRESS), primary_key=True),
)

nodes = Table(
    "xmpp_nodes",
    metadata,
    _owner(),
    Column("name", String(1024), primary_key=True),
    Column("config", Text, nullable=False),
    Index(None, "name"),
)
"""config: JSON of store.pep.NodeConfig."""

items = Table(
    "xmpp_items",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("node", String(1024), primary_key=True),
    Column("id", String(1024), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("publisher", String(ADDRESS), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["owner", "node"], ["xmpp_nodes.owner", "xmpp_nodes.name"], ondelete="CASCADE"
    ),
)
