"""Versions of documents, their authors, and since when a file is unreferenced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Three tables and a column; nothing that is there changes."""
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("through_seq", sa.Integer(), nullable=False),
        sa.Column("authors", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("kept_bytes", sa.Integer(), nullable=False),
        sa.Column("state_z", sa.LargeBinary(), nullable=False),
        _of_document("versions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_versions_document_id"), "versions", ["document_id"], unique=False
    )
    op.create_table(
        "authors",
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        _of_document("authors"),
        sa.PrimaryKeyConstraint("document_id", "author", name=op.f("pk_authors")),
    )
    op.create_table(
        "author_clients",
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        _of_document("author_clients"),
        sa.PrimaryKeyConstraint(
            "document_id", "client_id", name=op.f("pk_author_clients")
        ),
    )
    with op.batch_alter_table("blobs") as blobs:
        blobs.add_column(sa.Column("unreferenced_since", sa.Float(), nullable=True))


def _of_document(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["document_id"],
        ["documents.id"],
        name=op.f(f"fk_{table}_document_id"),
        ondelete="CASCADE",
    )
