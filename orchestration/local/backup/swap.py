"""Databases and folders change places: all of them, or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orchestration.local.backup import layout
from orchestration.local.backup.manifest import DATABASES, BackupError
from orchestration.local.database import Databases
from orchestration.resources.database_errors import DatabaseError, translate
from orchestration.resources.database_url import database_name, with_database
from orchestration.settings import Settings

RESTORING, REPLACED = "_restoring", "_replaced"
_MAX_NAME = 63  # bytes in a PostgreSQL identifier
_IN_USE = "55006"


def names(databases: Databases, suffix: str) -> Databases:
    """The same databases under names of the moment. Raises BackupError when one gets too long."""
    found = [f"{database_name(getattr(databases, name))}{suffix}" for name in DATABASES]
    if too_long := [name for name in found if len(name.encode()) > _MAX_NAME]:
        raise BackupError(
            f"database name {too_long[0]} is longer than {_MAX_NAME} bytes: shorten the name in DATABASE_URL"
        )
    return Databases(*(with_database(databases.ballast, name) for name in found))


@contextmanager
def server(databases: Databases, autocommit: bool = True) -> Iterator[Connection]:
    """A connection beside the databases: none of them can be renamed or dropped by one that is in it."""
    engine = create_engine(with_database(databases.ballast, "postgres"), poolclass=NullPool)
    if autocommit:
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise translate(error) from error


def exists(connection: Connection, name: str) -> bool:
    return bool(
        connection.scalar(text("select exists (select from pg_database where datname = :name)"), {"name": name})
    )


def drop(connection: Connection, databases: Databases) -> None:
    for name in DATABASES:
        connection.execute(text(f'drop database if exists "{database_name(getattr(databases, name))}"'))


def drop_quietly(databases: Databases, gone: Databases) -> None:
    """For the way out: the next restore drops what could not be dropped now."""
    with suppress(DatabaseError), server(databases) as connection:
        drop(connection, gone)


def into_place(settings: Settings, databases: Databases, fresh: Databases, unpacked: Path) -> None:
    """Rename databases in one transaction and move folders before it commits; what was there is deleted at last.

    Raises BackupError when somebody still uses one of the databases.
    """
    replaced = names(databases, REPLACED)
    with server(databases) as connection:
        drop(connection, replaced)  # of a restore that was killed after its renames
    with ExitStack() as undo:
        with server(databases, autocommit=False) as connection:
            for name in DATABASES:
                own, new, old = (str(database_name(getattr(d, name))) for d in (databases, fresh, replaced))
                if exists(connection, own):
                    _rename(connection, own, old)
                _rename(connection, new, own)
            _move_files(settings.workspace, unpacked, undo)
            connection.commit()
        undo.pop_all()  # it is done: nothing is taken back any more
    drop_quietly(databases, replaced)
    for folder in layout.FOLDERS:
        shutil.rmtree(settings.workspace / f"{folder}{REPLACED}", ignore_errors=True)


def _rename(connection: Connection, before: str, after: str) -> None:
    try:
        connection.execute(text(f'alter database "{before}" rename to "{after}"'))
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _IN_USE:
            raise BackupError(f"database {before} is in use: stop everything that uses it, then run again") from error
        raise


def _move_files(workspace: Path, unpacked: Path, undo: ExitStack) -> None:
    for folder in layout.FOLDERS:
        own, old, new = workspace / folder, workspace / f"{folder}{REPLACED}", unpacked / folder
        shutil.rmtree(old, ignore_errors=True)
        if own.is_dir():
            own.rename(old)
            undo.callback(old.rename, own)
        new.mkdir(parents=True, exist_ok=True)
        new.rename(own)
        undo.callback(own.rename, new)
    for name in layout.FILES:
        own, new = workspace / name, unpacked / name
        if new.is_file() and not (name == layout.DEVNET and own.exists()):
            new.replace(own)
    (workspace / layout.STAMP).unlink(missing_ok=True)
