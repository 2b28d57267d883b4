"""Bring a workspace to the newest shape before anything runs in it: databases, schemas of all three, Dagster home.

The one place where tables are created (services never do). Safe to repeat and safe beside another process: each
library migrates under an advisory lock in its own database. What is already current is skipped by a stamp, because
asking costs two seconds for MLflow and four for Dagster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orchestration import quiet
from orchestration.dbt_command import DBT_DIR, parse, target_folder
from orchestration.folders import artifacts, logs
from orchestration.local.dagster_home import POOL_LIMITS, write_home
from orchestration.local.database import Databases, create_databases
from orchestration.local.environment import library_environment
from orchestration.local.files import replace_text
from orchestration.local.progress import Progress
from orchestration.migrations.run import current_revision, migrate, newest_revision
from orchestration.resources.database_errors import StateFolderError, translate
from orchestration.settings import Settings, export

_LOCK = 0x70726570  # "prep"
_STAMP = "prepared.json"


def prepare(settings: Settings, databases: Databases, progress: Progress) -> None:
    """Create and migrate what is missing, then set the variables that libraries in this process read.

    Raises DatabaseError, StateFolderError or DbtError, each with a way out.
    """
    make_folders(settings)
    export(library_environment(settings, databases))
    created = create_databases(databases)
    if created or current_revision(databases.ballast) != newest_revision():
        progress.started("migrate")
        revision = migrate(databases.ballast)
        progress.finished("migrate", detail=f"schema {revision}")
    if not manifest_is_current(settings):
        progress.started("parse the dbt project")
        parse(target_folder(settings))
        progress.finished("parse the dbt project")
    if not _is_stamped(settings, databases):
        progress.started("prepare Dagster and MLflow")
        _prepare_dagster(settings, databases)
        _prepare_mlflow(settings, databases)
        replace_text(_stamp_path(settings), json.dumps(_versions(databases)))
        progress.finished("prepare Dagster and MLflow")


def manifest_is_current(settings: Settings) -> bool:
    """Whether the dbt manifest is there and not older than the project."""
    manifest = target_folder(settings) / "manifest.json"
    sources = [path for path in DBT_DIR.rglob("*") if path.suffix in (".sql", ".yml")]
    return manifest.is_file() and manifest.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def make_folders(settings: Settings) -> None:
    """Raises StateFolderError when the state folder cannot be written."""
    try:
        for folder in (settings.workspace, artifacts(settings), logs(settings)):
            folder.mkdir(parents=True, exist_ok=True)
        write_home(settings)
    except OSError as error:
        raise StateFolderError(
            f"state folder {settings.workspace} cannot be written ({error.strerror}): fix it or set BALLAST_STATE"
        ) from error


def _stamp_path(settings: Settings) -> Path:
    return settings.workspace / _STAMP


def _versions(databases: Databases) -> dict[str, str]:
    """What the stamp must say: library versions and the schemas they left, so that another database is noticed."""
    return {
        "dagster": version("dagster"),
        "mlflow": version("mlflow"),
        "dagster schema": _library_revision(databases.dagster),
        "mlflow schema": _library_revision(databases.mlflow),
        "pools": json.dumps(POOL_LIMITS, sort_keys=True),
    }


def _is_stamped(settings: Settings, databases: Databases) -> bool:
    path = _stamp_path(settings)
    found = _versions(databases)
    return bool(found["dagster schema"] and found["mlflow schema"]) and (
        path.is_file() and json.loads(path.read_text(encoding="utf-8")) == found
    )


def _library_revision(url: str) -> str:
    """Alembic revisions of a library's own database, empty when it has none."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            if connection.execute(text("select to_regclass('alembic_version')")).scalar() is None:
                return ""
            return ",".join(connection.execute(text("select version_num from alembic_version order by 1")).scalars())
    except DBAPIError as error:
        raise translate(error) from error


@contextmanager
def _exclusively(url: str) -> Iterator[None]:
    """Two processes creating the same tables at once deadlock: one waits here for the other."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        yield  # the lock belongs to the connection and goes with it


def _prepare_dagster(settings: Settings, databases: Databases) -> None:
    with quiet.libraries():
        from dagster import DagsterInstance

        with _exclusively(databases.dagster):
            fresh = not _library_revision(databases.dagster)
            with DagsterInstance.from_config(str(write_home(settings))) as instance:  # creates its tables if none
                if not fresh:
                    instance.upgrade()
                for pool, limit in POOL_LIMITS.items():
                    instance.event_log_storage.set_concurrency_slots(pool, limit)


def _prepare_mlflow(settings: Settings, databases: Databases) -> None:
    with quiet.libraries():
        from mlflow.store.db import utils
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with _exclusively(databases.mlflow):
            if _library_revision(databases.mlflow):
                engine = create_engine(databases.mlflow, poolclass=NullPool)
                utils._upgrade_db(engine)  # `mlflow db upgrade` would show the password
            # Creates its tables if there are none.
            SqlAlchemyStore(databases.mlflow, str(artifacts(settings)))
