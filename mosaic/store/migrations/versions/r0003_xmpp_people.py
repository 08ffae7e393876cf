"""What XMPP keeps for people: archive, subscriptions, blocks, nodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ADDRESS = 3071


def upgrade() -> None:
    """Seven tables; nothing that is there changes."""
    op.create_table(
        "xmpp_archive",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("peer", sa.String(length=ADDRESS), nullable=False),
        sa.Column("resource", sa.String(length=ADDRESS), nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        *_of_account("xmpp_archive", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_xmpp_archive_owner_peer_id"), "xmpp_archive", ["owner", "peer", "id"]
    )
    op.create_table(
        "xmpp_waiting",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        *_of_account("xmpp_waiting", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "xmpp_people",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("roster_version", sa.Integer(), nullable=False),
        sa.Column("preferences", sa.Text(), nullable=False),
        *_of_account("xmpp_people", owner="account"),
    )
    op.create_table(
        "xmpp_contacts",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("jid", sa.String(length=ADDRESS), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("to", sa.Boolean(), nullable=False),
        sa.Column("from_", sa.Boolean(), nullable=False),
        sa.Column("ask", sa.Boolean(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("asking", sa.LargeBinary(), nullable=False),
        *_of_account("xmpp_contacts", "jid"),
    )
    op.create_table(
        "xmpp_blocked",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("jid", sa.String(length=ADDRESS), nullable=False),
        *_of_account("xmpp_blocked", "jid"),
    )
    op.create_table(
        "xmpp_nodes",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=1024), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        *_of_account("xmpp_nodes", "name"),
    )
    op.create_index(op.f("ix_xmpp_nodes_name"), "xmpp_nodes", ["name"])
    op.create_table(
        "xmpp_items",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=1024), nullable=False),
        sa.Column("id", sa.String(length=1024), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("publisher", sa.String(length=ADDRESS), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner", "node"],
            ["xmpp_nodes.owner", "xmpp_nodes.name"],
            name=op.f("fk_xmpp_items_owner"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("owner", "node", "id", name=op.f("pk_xmpp_items")),
    )


def _of_account(
    table: str, *key: str, owner: str = "owner"
) -> tuple[sa.ForeignKeyConstraint, sa.PrimaryKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(
            [owner],
            ["accounts.name"],
            name=op.f(f"fk_{table}_{owner}"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(owner, *key, name=op.f(f"pk_{table}")),
    )
