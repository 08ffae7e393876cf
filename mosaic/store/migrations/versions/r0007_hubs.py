"""Room boxes: activation codes, hubs, their seats and commands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Four tables; nothing that is there changes."""
    _codes()
    _hubs()
    _seats()
    _commands()


def _codes() -> None:
    op.create_table(
        "hub_codes",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_hub_codes_digest")),
    )


def _hubs() -> None:
    op.create_table(
        "hubs",
        sa.Column("hub_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("code", sa.LargeBinary(length=32), nullable=False),
        sa.Column("enrolled_at", sa.Float(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=128), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("update", sa.Text(), nullable=False),
        sa.Column("calendar_url", sa.Text(), nullable=True),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("last_seen", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["hub_id"],
            ["rooms.hub_id"],
            name=op.f("fk_hubs_hub_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_hubs")),
        sa.UniqueConstraint("public_key", name=op.f("uq_hubs_public_key")),
    )


def _seats() -> None:
    op.create_table(
        "hub_seats",
        sa.Column("participant_id", sa.String(length=32), nullable=False),
        sa.Column("hub_id", sa.String(length=16), nullable=False),
        sa.Column("room", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        _of_hub("hub_seats"),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_hub_seats")),
    )
    op.create_index(op.f("ix_hub_seats_hub_id"), "hub_seats", ["hub_id"])
    op.create_index(op.f("ix_hub_seats_expires_at"), "hub_seats", ["expires_at"])


def _commands() -> None:
    op.create_table(
        "hub_commands",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("hub_id", sa.String(length=16), nullable=False),
        sa.Column("command", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(length=64), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        _of_hub("hub_commands"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_commands")),
    )
    op.create_index(op.f("ix_hub_commands_hub_id_at"), "hub_commands", ["hub_id", "at"])
    op.create_index(op.f("ix_hub_commands_at"), "hub_commands", ["at"])
    op.create_index(op.f("ix_hub_commands_state"), "hub_commands", ["state"])


def _of_hub(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["hub_id"],
        ["hubs.hub_id"],
        name=op.f(f"fk_{table}_hub_id"),
        ondelete="CASCADE",
    )
