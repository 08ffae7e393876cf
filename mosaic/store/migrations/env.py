"""Alembic's entry: runs the steps over the connection that it is given."""

from __future__ import annotations

from alembic import context

from mosaic.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
