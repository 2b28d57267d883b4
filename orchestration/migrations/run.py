"""Bring the `ballast` database of one market to the newest schema. Services never create tables: only this does."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orchestration.resources.database_errors import translate
from orchestration.resources.database_url import normalise

_LOCK = 0x62616C6C  # "ball": one migration at a time in a database; concurrent DDL deadlocks
_HERE = Path(__file__).resolve().parent


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(url: str) -> str:
    """Apply what is missing, all or nothing; a second call, also at the same time, changes nothing.

    Returns the revision the database now has. Raises DatabaseError (one line).
    """
    engine = create_engine(normalise(url), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            connection.execute(text("create schema if not exists ops"))  # holds Alembic's version table too
            command.upgrade(_config(connection), "head")
            return _revision(connection) or ""
    except DBAPIError as error:
        raise translate(error) from error


def current_revision(url: str) -> str | None:
    """The revision a database has; None if it was never migrated. Raises DatabaseError."""
    engine = create_engine(normalise(url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return _revision(connection)
    except DBAPIError as error:
        raise translate(error) from error


def newest_revision() -> str:
    """The revision this software expects."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def knows_revision(revision: str) -> bool:
    """Whether this software can bring a database of that revision to its own."""
    from alembic.script import ScriptDirectory

    return revision in {found.revision for found in ScriptDirectory.from_config(_config()).walk_revisions()}


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": "ops"})
    return context.get_current_revision()
