"""Make a backup: three databases as of one moment, then the files they speak of, then the manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orchestration.local.backup import layout, postgres_tools
from orchestration.local.backup.container import writing
from orchestration.local.backup.manifest import DATABASES, FORMAT, BackupError, Dump, Manifest
from orchestration.local.database import Databases
from orchestration.resources.database_errors import translate
from orchestration.settings import Settings

_REVISION = {"ballast": "ops.alembic_version", "dagster": "alembic_version", "mlflow": "alembic_version"}
_TABLES = """
    select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%' order by 1
"""
_ROLES = "select rolname from pg_roles where rolname ~ '^ballast_[a-z_]+$' order by 1"
_DEFAULTS = """
    select n.nspname, a.privilege_type, r.rolname from pg_default_acl d join pg_namespace n on n.oid = d.defaclnamespace
    cross join lateral aclexplode(d.defaclacl) a join pg_roles r on r.oid = a.grantee
    where d.defaclobjtype = 'r' and r.rolname ~ '^ballast_[a-z_]+$' order by 1, 2, 3
"""
_LAST_EVENT = "select hash from keeper.events order by seq desc limit 1"


def target_file(settings: Settings, wanted: Path, now: datetime) -> Path:
    """The file to write: `wanted` itself, or one with market and time in its name if that is a folder."""
    if wanted.is_dir():
        return wanted / f"ballast-{settings.market.slug}-{now:%Y%m%dT%H%M%SZ}.tar"
    if not wanted.parent.is_dir():
        raise BackupError(f"folder {wanted.parent} does not exist: make it, or name another one")
    return wanted


def take(settings: Settings, databases: Databases, target: Path, now: datetime) -> Manifest:
    """Write the backup `target`; the stack may be up. Raises BackupError, DatabaseError or OSError: nothing is left.

    Each database is dumped from a snapshot, and all snapshots are taken within a moment; the warehouse's is first, so
    that runs and models which its rows name are in the others.
    """
    with ExitStack() as stack:
        writer = stack.enter_context(writing(target))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".ballast-backup-", dir=target.parent)))
        dumps = {}
        with _snapshots(databases) as snapshots:
            warehouse = snapshots["ballast"][0]
            server, roles, last = _server(warehouse)
            pg_dump = postgres_tools.tool(settings, "pg_dump", server // 10_000)
            for name, (connection, snapshot) in snapshots.items():
                path = folder / layout.dump_name(name)
                postgres_tools.dump(pg_dump, getattr(databases, name), snapshot, path)
                dumps[name] = Dump(revision_of(connection, name), rows_of(connection), _defaults(connection))
                writer.add(path.name, path)
                path.unlink()
        for name, path in layout.files(settings):
            writer.add(name, path)
        manifest = Manifest(
            format=FORMAT, made_at=now.isoformat(timespec="seconds"), software=version("ballast"),
            market=settings.market.slug, data_mode=settings.market.mode.value, server=server,
            pg_dump=postgres_tools.version_of(pg_dump), roles=roles, artifact_root=layout.artifact_root(settings),
            last_event=last, dumps=dumps, files=writer.files, kept_elsewhere=layout.kept_elsewhere(settings),
        )  # fmt: skip
        writer.finish(manifest)
    return manifest


def rows_of(connection: Connection) -> dict[str, int]:
    """Rows of each table of ours; a partition is a table."""
    names = connection.execute(text(_TABLES)).scalars().all()
    return {name: int(connection.execute(text(f"select count(*) from {name}")).scalar_one()) for name in names}


def revision_of(connection: Connection, database: str) -> str:
    """Revisions of the schema, as its own migrations name them."""
    rows = connection.execute(text(f"select version_num from {_REVISION[database]} order by 1")).scalars()
    return ",".join(rows)


def _defaults(connection: Connection) -> tuple[tuple[str, str, str], ...]:
    """They are of the user who made the tables; a restore gives them to the user who makes them anew."""
    return tuple((row[0], row[1], row[2]) for row in connection.execute(text(_DEFAULTS)))


def _server(connection: Connection) -> tuple[int, tuple[str, ...], str]:
    """Version, roles, and the hash of the keeper's newest event."""
    number = connection.execute(text("select current_setting('server_version_num')::int")).scalar_one()
    last = connection.scalar(text(_LAST_EVENT)) or ""
    return int(number), tuple(connection.execute(text(_ROLES)).scalars()), str(last)


@contextmanager
def _snapshots(databases: Databases) -> Iterator[Mapping[str, tuple[Connection, str]]]:
    """A connection that stands still at one moment, and the name of its snapshot, for each database."""
    with ExitStack() as stack:
        found = {}
        try:
            for name in DATABASES:
                engine = create_engine(getattr(databases, name), poolclass=NullPool, isolation_level="REPEATABLE READ")
                connection = stack.enter_context(engine.connect())
                found[name] = (connection, str(connection.scalar(text("select pg_export_snapshot()"))))
            yield found
        except DBAPIError as error:
            raise translate(error) from error
