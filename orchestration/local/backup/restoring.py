"""Put a backup back: beside what is there, checked as a whole, and only then in its place, in one transaction.

The chain is never put back over one that is there: a restore sets the memory of the keeper back, not the world. So the
restored keeper is halted until `ballast keeper resume` has compared both (`keeper.restored`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from keeper.event_log import BrokenEventLog, verify
from keeper.restored import mark_restored
from orchestration.local.backup import layout, postgres_tools, swap
from orchestration.local.backup.container import unpack
from orchestration.local.backup.manifest import DATABASES, BackupError, Manifest
from orchestration.local.backup.taking import revision_of, rows_of
from orchestration.local.database import Databases, create_databases
from orchestration.migrations.run import knows_revision, newest_revision
from orchestration.resources.database_errors import translate
from orchestration.resources.database_url import database_name
from orchestration.settings import Settings

_UNPACKED = "restore.new"
_ROLE = """
    do $$ begin
        if not exists (select from pg_roles where rolname = '{role}') then create role {role} nologin; end if;
        if not pg_has_role(current_user, '{role}', 'member') then grant {role} to current_user; end if;
    end $$"""
# Columns of MLflow that name a place in the folder of artefacts, absolute.
PLACES = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("model_versions", "source"),
           ("model_versions", "storage_location"), ("logged_models", "artifact_location"))  # fmt: skip


def restore(
    settings: Settings, databases: Databases, source: Path, replace: bool, by: str, note: Callable[[str], None]
) -> Manifest:
    """Restore `source` into this market. The caller holds the workspace, and its stack is down.

    replace : whether what is there may be replaced; without it any table or artefact is a refusal.
    Raises BackupError or DatabaseError: everything is then as it was.
    """
    if not source.is_file():
        raise BackupError(f"{source} is not a file: name a backup that `ballast backup` made")
    unpacked = settings.workspace / _UNPACKED
    fresh = swap.names(databases, swap.RESTORING)
    with ExitStack() as cleanup:
        shutil.rmtree(unpacked, ignore_errors=True)  # of a restore that was killed
        cleanup.callback(shutil.rmtree, unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        manifest = unpack(source, unpacked)
        note(f"{len(manifest.files)} files are what the manifest says")
        _refuse_other(settings, manifest)
        with swap.server(databases) as server:
            _refuse_older_server(server, manifest)
            if not replace and (found := _occupied(settings, databases, server)):
                raise BackupError(
                    f"{found}: add --replace to put the backup in its place, or name another BALLAST_STATE"
                )
            _make_roles(server, manifest)
            swap.drop(server, fresh)
            cleanup.callback(swap.drop_quietly, databases, fresh)
        create_databases(fresh)
        for name in DATABASES:
            _fill(settings, getattr(fresh, name), name, unpacked, manifest)
            note(f"database {name} has what was backed up")
        _halt(fresh.ballast, manifest, by)
        swap.into_place(settings, databases, fresh, unpacked / layout.WORKSPACE)
    return manifest


def _refuse_other(settings: Settings, manifest: Manifest) -> None:
    if manifest.market != settings.market.slug:
        raise BackupError(
            f"the backup is of market {manifest.market}, this is {settings.market.slug}: name it by --market"
        )
    revision = manifest.dumps["ballast"].revision
    if not knows_revision(revision):
        raise BackupError(
            f"the backup has schema {revision}, this version knows schemas up to {newest_revision()}: install version "
            f"{manifest.software} of the software or a newer one"
        )


def _refuse_older_server(server: Connection, manifest: Manifest) -> None:
    found = int(server.execute(text("select current_setting('server_version_num')::int")).scalar_one()) // 10_000
    wanted = manifest.server // 10_000
    if found < wanted:
        raise BackupError(f"the backup is of PostgreSQL {wanted}, this server is {found}: use {wanted} or a newer one")


def _occupied(settings: Settings, databases: Databases, server: Connection) -> str | None:
    """What is there already, None if nothing is."""
    for name in DATABASES:
        url = getattr(databases, name)
        if swap.exists(server, str(database_name(url))) and _has_tables(url):
            return f"database {database_name(url)} is not empty"
    for folder in layout.FOLDERS:
        if any((settings.workspace / folder).rglob("*")):
            return f"folder {settings.workspace / folder} is not empty"
    return None


def _has_tables(url: str) -> bool:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return bool(connection.scalar(text(
            "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in "
            "('r', 'p') and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema')"
        )))  # fmt: skip


def _make_roles(server: Connection, manifest: Manifest) -> None:
    """Roles belong to the server and are in no dump. Their names were checked when the manifest was read."""
    for role in manifest.roles:
        try:
            server.execute(text(_ROLE.format(role=role)))
        except DBAPIError as error:
            told = translate(error)
            raise type(told)(
                f"role {role} cannot be made; make it by hand, without login, and run again: {told}"
            ) from error


def _fill(settings: Settings, url: str, name: str, unpacked: Path, manifest: Manifest) -> None:
    pg_restore = postgres_tools.tool(settings, "pg_restore", postgres_tools.major(manifest.pg_dump))
    postgres_tools.restore(pg_restore, url, unpacked / layout.dump_name(name))
    engine = create_engine(url, poolclass=NullPool)
    wanted = manifest.dumps[name]
    with engine.begin() as connection:
        if (revision := revision_of(connection, name)) != wanted.revision:
            raise BackupError(f"database {name} has schema {revision} after the restore, its backup {wanted.revision}")
        if (rows := rows_of(connection)) != dict(wanted.tables):
            other = sorted(t for t in rows.keys() | wanted.tables.keys() if rows.get(t) != wanted.tables.get(t))
            raise BackupError(f"database {name} lacks rows after the restore, first in {other[0]}")
        for schema, right, role in wanted.defaults:
            connection.execute(text(f"alter default privileges in schema {schema} grant {right} on tables to {role}"))
        if name == "mlflow":
            _move_artifacts(connection, manifest.artifact_root, layout.artifact_root(settings))


def _move_artifacts(connection: Connection, before: str, now: str) -> None:
    """MLflow's rows name files by absolute places, as paths or as URLs."""
    if before == now:
        return
    for old, new in {before: now, quote(before): quote(now)}.items():
        for table, column in PLACES:
            connection.execute(
                text(
                    f"update {table} set {column} = replace({column}, :old, :new) where position(:old in {column}) > 0"
                ),
                {"old": old, "new": new},
            )


def _halt(url: str, manifest: Manifest, by: str) -> None:
    engine: Engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            verify(connection)
            newest = connection.scalar(text("select hash from keeper.events order by seq desc limit 1")) or ""
    except BrokenEventLog as error:
        raise BackupError(f"the keeper's log in the backup was altered ({error}): use another backup") from error
    except DBAPIError as error:
        raise translate(error) from error
    if newest != manifest.last_event:
        raise BackupError("the keeper's log ends elsewhere than the manifest says: use another backup")
    mark_restored(engine, manifest.made_at, by)
