"""Alembic entry: migrates the `ballast` database of one market. Called through `orchestration.migrations.run`."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="ops")
with context.begin_transaction():
    context.run_migrations()
