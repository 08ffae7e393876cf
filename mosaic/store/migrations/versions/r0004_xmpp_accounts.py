"""What XMPP keeps of accounts: profiles, avatars, uploads, last presence."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Three tables; nothing that is there changes."""
    op.create_table(
        "last_seen",
        _account(),
        sa.Column("at", sa.Float(), nullable=False),
        _of_account("last_seen"),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_last_seen")),
    )
    op.create_table(
        "profiles",
        _account(),
        sa.Column("vcard", sa.Text(), nullable=False),
        sa.Column("avatar_sha1", sa.String(length=40), nullable=True),
        sa.Column("avatar_type", sa.String(length=64), nullable=True),
        sa.Column("avatar", sa.LargeBinary(), nullable=True),
        _of_account("profiles"),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_profiles")),
    )
    op.create_index(
        op.f("ix_profiles_avatar_sha1"), "profiles", ["avatar_sha1"], unique=False
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.Integer(), nullable=False),
        _account(),
        sa.Column("put_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("get_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        _of_account("uploads"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("put_digest", name=op.f("uq_uploads_put_digest")),
        sa.UniqueConstraint("get_digest", name=op.f("uq_uploads_get_digest")),
    )
    for column in ("account", "sha256"):
        op.create_index(op.f(f"ix_uploads_{column}"), "uploads", [column], unique=False)


def _account() -> sa.Column[Any]:
    return sa.Column("account", sa.String(length=64), nullable=False)


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account"],
        ["accounts.name"],
        name=op.f(f"fk_{table}_account"),
        ondelete="CASCADE",
    )
