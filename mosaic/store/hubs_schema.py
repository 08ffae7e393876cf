"""The tables of store.hubs, beside those of schema.py."""

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
)

from mosaic.store.schema import metadata

hub_codes = Table(
    "hub_codes",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("uses", Integer, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("by", String(64), nullable=False),
)

hubs = Table(
    "hubs",
    metadata,
    Column(
        "hub_id",
        String(16),
        ForeignKey("rooms.hub_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("name", String(64), nullable=False),
    Column("public_key", LargeBinary(32), nullable=False, unique=True),
    Column("code", LargeBinary(32), nullable=False),
    Column("enrolled_at", Float, nullable=False),
    Column("version", String(64), nullable=False),
    Column("platform", String(128), nullable=False),
    Column("desired", Text, nullable=False),
    Column("update", Text, nullable=False),
    Column("calendar_url", Text, nullable=True),
    Column("calendar", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("last_seen", Float, nullable=False),
    Column("network", Text, nullable=False, server_default="null"),
)
"""desired, update, calendar, network: JSON of the dataclasses in workspace.hubs and
workspace.hubnetwork."""


def _hub() -> Column[str]:
    key = ForeignKey("hubs.hub_id", ondelete="CASCADE")
    return Column("hub_id", String(16), key, nullable=False)


hub_seats = Table(
    "hub_seats",
    metadata,
    Column("participant_id", String(32), primary_key=True),
    _hub(),
    Column("room", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index(None, "hub_id"),
    Index(None, "expires_at"),
)

hub_commands = Table(
    "hub_commands",
    metadata,
    Column("id", String(32), primary_key=True),
    _hub(),
    Column("command", String(32), nullable=False),
    Column("by", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("media_type", String(64), nullable=True),
    Column("size_bytes", Integer, nullable=False),
    Index(None, "hub_id", "at"),
    Index(None, "at"),
    Index(None, "state"),
)
