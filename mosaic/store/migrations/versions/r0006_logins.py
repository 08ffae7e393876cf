"""Second verifiers (SCRAM-SHA-1) and tokens for quick logins (XEP-0484)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Two tables; nothing that is there changes."""
    op.create_table(
        "scram_sha_1",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("beside", sa.LargeBinary(length=64), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("stored_key", sa.LargeBinary(), nullable=False),
        sa.Column("server_key", sa.LargeBinary(), nullable=False),
        _of_account("scram_sha_1"),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_scram_sha_1")),
    )
    op.create_table(
        "fast_tokens",
        sa.Column("serial", sa.LargeBinary(length=16), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("client", sa.LargeBinary(length=32), nullable=False),
        sa.Column("mechanism", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        _of_account("fast_tokens"),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_fast_tokens")),
    )
    op.create_index(
        op.f("ix_fast_tokens_account_client"), "fast_tokens", ["account", "client"]
    )
    op.create_index(op.f("ix_fast_tokens_expires_at"), "fast_tokens", ["expires_at"])


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account"],
        ["accounts.name"],
        name=op.f(f"fk_{table}_account"),
        ondelete="CASCADE",
    )
