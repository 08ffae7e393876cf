"""The tables of store.logins, beside those of schema.py."""

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
)

from mosaic.store.schema import metadata


def _account() -> ForeignKey:
    return ForeignKey("accounts.name", ondelete="CASCADE")


scram_sha_1 = Table(
    "scram_sha_1",
    metadata,
    Column("account", String(64), _account(), primary_key=True),
    Column("beside", LargeBinary(64), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("stored_key", LargeBinary, nullable=False),
    Column("server_key", LargeBinary, nullable=False),
)
"""beside: the salt of the account's first verifier. A new password has a new
salt, and so a row that belongs to an old one is not found any more."""

fast_tokens = Table(
    "fast_tokens",
    metadata,
    Column("serial", LargeBinary(16), primary_key=True),
    Column("account", String(64), _account(), nullable=False),
    Column("client", LargeBinary(32), nullable=False),
    Column("mechanism", String(32), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("count", Integer, nullable=False),
    Index(None, "account", "client"),
    Index(None, "expires_at"),
)
