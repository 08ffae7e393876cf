"""The latest network check of each hub."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """One column; hubs that are there have made none."""
    op.add_column(
        "hubs",
        sa.Column("network", sa.Text(), nullable=False, server_default="null"),
    )
