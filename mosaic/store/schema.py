"""The tables. Times are Unix seconds; digests and updates are raw bytes.

A change here needs a migration beside it; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _account_key(ondelete: str) -> ForeignKey:
    return ForeignKey("accounts.name", ondelete=ondelete)


def _room_key() -> ForeignKey:
    return ForeignKey("rooms.hub_id", ondelete="CASCADE")


accounts = Table(
    "accounts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("admin", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("stored_key", LargeBinary, nullable=False),
    Column("server_key", LargeBinary, nullable=False),
)

rooms = Table(
    "rooms",
    metadata,
    Column("hub_id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("pin", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("owner", String(64), _account_key("SET NULL"), nullable=True),
    Column("alias", String(64), nullable=True, unique=True),
    Column("locked", Boolean, nullable=False),
    Column("lobby", Boolean, nullable=False),
    Column("closed_at", Float, nullable=True),
    Column("moderated", Boolean, nullable=False, server_default="0"),
    Column("open_to_accounts", Boolean, nullable=False, server_default="0"),
)

members = Table(
    "members",
    metadata,
    Column("hub_id", String(16), _room_key(), primary_key=True),
    Column("account", String(64), _account_key("CASCADE"), primary_key=True),
    Column("role", String(16), nullable=False),
    Index(None, "account"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    Column("account", String(64), _account_key("CASCADE"), nullable=True),
    Column("hub_id", String(16), _room_key(), nullable=True),
    Column("role", String(16), nullable=True),
    Column("participant_id", String(32), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("waiting", Boolean, nullable=False),
    Index(None, "hub_id", "participant_id"),
    Index(None, "account"),
    Index(None, "expires_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("hub_id", String(16), _room_key(), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("message_id", String(128), nullable=False),
    Column("author_id", String(128), nullable=False),
    Column("author", String(128), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("edited_at", Float, nullable=True),
    Column("retracted_at", Float, nullable=True),
    UniqueConstraint("hub_id", "message_id"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("hub_id", String(16), _room_key(), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("size_bytes", Integer, nullable=False),
    Column("media_type", String(255), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("unreferenced_since", Float, nullable=True),
)
"""A blob's type belongs to the room that uploaded it, not to its bytes."""

documents = Table(
    "documents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hub_id", String(16), _room_key(), nullable=False),
    Column("name", String(128), nullable=False),
    Column("epoch", String(36), nullable=False),
    Column("last_seq", Integer, nullable=False),
    UniqueConstraint("hub_id", "name"),
)


def _document_key() -> ForeignKey:
    return ForeignKey("documents.id", ondelete="CASCADE")


def _document() -> Column[int]:
    return Column("document_id", Integer, _document_key(), primary_key=True)


def _seq(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


journal = Table(
    "journal",
    metadata,
    _document(),
    _seq("seq"),
    Column("author", String(128), nullable=False),
    Column("at", Float, nullable=False),
    Column("update_v1", LargeBinary, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    _document(),
    _seq("through_seq"),
    Column("at", Float, nullable=False),
    Column("state_v1", LargeBinary, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    _document(),
    _seq("seq"),
    Column("author", String(128), nullable=False),
    Column("at", Float, nullable=False),
    Column("update_v1", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("document_id", Integer, _document_key(), nullable=False),
    Column("at", Float, nullable=False),
    Column("label", String(100), nullable=True),
    Column("made_by", String(128), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("through_seq", Integer, nullable=False),
    Column("authors", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("kept_bytes", Integer, nullable=False),
    Column("state_z", LargeBinary, nullable=False),
    Index(None, "document_id"),
    sqlite_autoincrement=True,
)
"""state_z: a full update (v1), compressed by zlib. authors: JSON. An id is never
used twice: a page that restores a version which is gone must not get another."""

authors = Table(
    "authors",
    metadata,
    _document(),
    Column("author", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("account", String(64), nullable=True),
    Column("first_at", Float, nullable=False),
    Column("last_seq", Integer, nullable=False),
)
"""Who ever edited a document. last_seq: their newest update among those that
snapshots have taken out of the journal."""

author_clients = Table(
    "author_clients",
    metadata,
    _document(),
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("author", String(128), nullable=False),
)
"""Yjs client -> participant; the first who brought a client's edits keeps it."""

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
)
"""One row that a readiness check writes: an empty commit touches no disk."""
