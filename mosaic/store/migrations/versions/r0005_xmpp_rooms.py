"""What XMPP keeps of rooms: stanzas beside the chat, subjects, bans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Three tables, and columns that are empty for what is there."""
    op.create_table(
        "room_stanzas",
        sa.Column("hub_id", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=128), nullable=False),
        sa.Column("author_id", sa.String(length=128), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("occupant_id", sa.String(length=64), nullable=False),
        sa.Column("stanza_id", sa.String(length=128), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("about", sa.Integer(), nullable=True),
        sa.Column("stanza", sa.Text(), nullable=True),
        _of_room("room_stanzas"),
        sa.PrimaryKeyConstraint("hub_id", "seq", name=op.f("pk_room_stanzas")),
        sa.UniqueConstraint(
            "hub_id", "message_id", name=op.f("uq_room_stanzas_hub_id_message_id")
        ),
    )
    op.create_index(
        op.f("ix_room_stanzas_hub_id_occupant_id_stanza_id"),
        "room_stanzas",
        ["hub_id", "occupant_id", "stanza_id"],
        unique=False,
    )
    op.create_table(
        "room_subjects",
        sa.Column("hub_id", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("secret", sa.LargeBinary(length=32), nullable=False),
        _of_room("room_subjects"),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_room_subjects")),
    )
    op.create_table(
        "room_bans",
        sa.Column("hub_id", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        _of_room("room_bans"),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
            name=op.f("fk_room_bans_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hub_id", "account", name=op.f("pk_room_bans")),
    )
    op.create_index(
        op.f("ix_room_bans_account"), "room_bans", ["account"], unique=False
    )
    # Never by a copy of the table: to drop the old one would drop, by its foreign
    # keys, all that belongs to its rows.
    with op.batch_alter_table("messages", recreate="never") as messages:
        messages.add_column(sa.Column("edited_at", sa.Float(), nullable=True))
        messages.add_column(sa.Column("retracted_at", sa.Float(), nullable=True))
    with op.batch_alter_table("rooms", recreate="never") as rooms:
        for name in ("moderated", "open_to_accounts"):
            rooms.add_column(
                sa.Column(name, sa.Boolean(), nullable=False, server_default="0")
            )


def _of_room(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["hub_id"],
        ["rooms.hub_id"],
        name=op.f(f"fk_{table}_hub_id"),
        ondelete="CASCADE",
    )
