"""Bringing a database to the newest form of the tables."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from mosaic.store.interface import StoreError

HEAD = "0008"
"""The newest step: knowing it here spares the import of Alembic at most starts."""


def migrate(connection: Connection) -> None:
    """Run the steps that are missing, in the caller's transaction.

    Raises StoreError if the database is of a newer Mosaic.
    """
    revision = current(connection)
    if revision == HEAD:
        return

    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    steps = Path(__file__).with_name("migrations")
    # a per cent sign in the path would be read as interpolation
    config.set_main_option("script_location", str(steps).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the database is at step {revision}, which this Mosaic does not know:"
            " it was written by a newer version"
        ) from error


def current(connection: Connection) -> str | None:
    """The step that the database is at, None if it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])
