"""The tables of what XMPP keeps of rooms, beside the chat."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from mosaic.store.schema import metadata


def _room() -> Column[str]:
    key = ForeignKey("rooms.hub_id", ondelete="CASCADE")
    return Column("hub_id", String(16), key, primary_key=True)


room_stanzas = Table(
    "room_stanzas",
    metadata,
    _room(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("message_id", String(128), nullable=False),
    Column("author_id", String(128), nullable=False),
    Column("author", String(128), nullable=False),
    Column("occupant_id", String(64), nullable=False),
    Column("stanza_id", String(128), nullable=True),
    Column("at", Float, nullable=False),
    Column("about", Integer, nullable=True),
    Column("stanza", Text, nullable=True),
    UniqueConstraint("hub_id", "message_id"),
    Index(None, "hub_id", "occupant_id", "stanza_id"),
)
"""A stanza that was said in a room. A line of chat has the same seq in
`messages`; other kinds have their own numbers in the same row. stanza: None if
it held no more than its text."""

room_subjects = Table(
    "room_subjects",
    metadata,
    _room(),
    Column("subject", Text, nullable=False),
    Column("author", String(128), nullable=False),
    Column("at", Float, nullable=False),
    Column("secret", LargeBinary(32), nullable=False),
)
"""secret: what occupant ids are made with (XEP-0421)."""

room_bans = Table(
    "room_bans",
    metadata,
    _room(),
    Column(
        "account",
        String(64),
        ForeignKey("accounts.name", ondelete="CASCADE"),
        primary_key=True,
    ),
    Index(None, "account"),
)
