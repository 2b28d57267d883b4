"""Which PostgreSQL server this machine uses, who may stop it, and the databases of a market on it.

Only `orchestration.local` knows that a server can be embedded: everybody else is given a URL.

Life of the embedded server. `ensure_server` starts it or joins the one that runs. A handle holds a shared lock on the
server's folder; closing the last handle stops the server, unless it was asked to stay (`make up`, until `make down`).
A killed process loses its lock by itself: the server goes on, the next `ensure_server` joins it and the next close or
`stop_server` ends it. Folders are locked themselves, so that no lock file is ever left behind.

Connection budget (server limit 100): API 8, Dagster webserver 3, daemon 6, code server 4, four concurrent runs of 6,
MLflow server 6, keeper and command line 6: 57, which leaves room for superuser sessions and a psql or two.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orchestration.local import embedded_postgres
from orchestration.local.embedded_postgres import Cluster
from orchestration.resources.database_errors import DatabaseError, StateFolderError, translate
from orchestration.resources.database_url import database_name, normalise, redact, with_database
from orchestration.settings import Settings

_DEFAULT_PREFIX = "ballast"
_MAX_NAME = 63  # bytes in a PostgreSQL identifier
_EXISTS = ("42P04", "23505")  # duplicate_database; unique_violation when two create it at once
_FORBIDDEN = "42501"


@dataclass(frozen=True, slots=True)
class Databases:
    """URLs of the three databases of one market."""

    ballast: str
    dagster: str
    mlflow: str


@dataclass(slots=True)
class ServerHandle:
    """A promise that the server runs while this is open. Use as a context manager, or `close`."""

    base_url: str  # of the maintenance database (embedded) or as DATABASE_URL says
    embedded: bool
    started_here: bool
    _cluster: Cluster | None = None
    _lock: int | None = field(default=None, repr=False)

    def close(self, keep_running: bool = False) -> bool:
        """Give up this handle; True if that stopped the server (embedded, nobody else holds it, not to be kept)."""
        if self._lock is None or self._cluster is None:
            return False
        lock, self._lock = self._lock, None
        try:
            with _folder_lock(self._cluster.root.parent):
                last = not keep_running and _try_lock(lock, fcntl.LOCK_EX)
                return last and embedded_postgres.stop(self._cluster)
        finally:
            os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """One process at a time starts or stops a server in this folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _cluster(settings: Settings) -> Cluster:
    return Cluster(settings.state_root / "postgres")


def ensure_server(settings: Settings) -> ServerHandle:
    """The server of these settings, running. Raises StateFolderError, DiskFull or DatabaseUnavailable (one line)."""
    if settings.database_url is not None:
        url = normalise(settings.database_url)
        with _maintenance(url):
            pass
        return ServerHandle(url, embedded=False, started_here=False)
    cluster = _cluster(settings)
    try:
        cluster.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateFolderError(
            f"state folder {settings.state_root} cannot be made ({error.strerror}): fix it or set BALLAST_STATE"
        ) from error
    with _folder_lock(settings.state_root):
        started = embedded_postgres.start(cluster)
        lock = os.open(cluster.root, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_SH)
    return ServerHandle(cluster.url, embedded=True, started_here=started, _cluster=cluster, _lock=lock)


def stop_server(settings: Settings) -> bool:
    """Stop the embedded server whoever uses it, and remove what a killed one left; False if none ran."""
    cluster = _cluster(settings)
    if settings.database_url is not None or not cluster.root.is_dir():
        return False
    with _folder_lock(settings.state_root):
        return embedded_postgres.stop(cluster)


def server_running(settings: Settings) -> bool:
    """Whether the embedded server of these settings runs now."""
    return settings.database_url is None and embedded_postgres.server_pid(_cluster(settings)) is not None


def server_url(settings: Settings) -> str:
    """Where the server of these settings is (to be) found, started or not."""
    return normalise(settings.database_url) if settings.database_url is not None else _cluster(settings).url


def workspace_databases(settings: Settings, base_url: str | None = None) -> Databases:
    """URLs of this market's databases. On an outside server the name in DATABASE_URL is their prefix."""
    base = server_url(settings) if base_url is None else base_url
    slug = settings.market.slug
    prefix = (database_name(base) if settings.database_url is not None else None) or _DEFAULT_PREFIX
    own = "" if prefix == _DEFAULT_PREFIX else f"{prefix}_"
    names = (f"{prefix}_{slug}", f"{own}dagster_{slug}", f"{own}mlflow_{slug}")
    longest = max(names, key=len)
    if len(longest.encode()) > _MAX_NAME:
        raise DatabaseError(
            f"database name {longest} is longer than {_MAX_NAME} bytes: shorten the name in DATABASE_URL"
        )
    return Databases(*(with_database(base, name) for name in names))


def create_databases(databases: Databases) -> tuple[str, ...]:
    """Create those that do not exist; returns the names created. Raises DatabaseError saying what to do by hand."""
    wanted = [str(database_name(url)) for url in (databases.ballast, databases.dagster, databases.mlflow)]
    with _maintenance(databases.ballast) as connection:
        return tuple(name for name in wanted if _create(connection, name))


def _create(connection: Connection, name: str) -> bool:
    if connection.execute(text("select from pg_database where datname = :name"), {"name": name}).rowcount:
        return False
    try:
        connection.execute(text(f"create database \"{name}\" encoding 'UTF8' template template0"))
        connection.execute(text(f"alter database \"{name}\" set timezone to 'UTC'"))
    except DBAPIError as error:
        code = getattr(error.orig, "pgcode", None)
        if code in _EXISTS:
            return False
        if code == _FORBIDDEN:
            raise DatabaseError(
                f"the user of DATABASE_URL may not create databases: create {name} by hand or grant createdb"
            ) from error
        raise translate(error) from error
    return True


@contextmanager
def _maintenance(url: str) -> Iterator[Connection]:
    """A connection to any database of the server: the one named may not exist yet."""
    candidates = ("postgres", database_name(url), "template1")
    for name in candidates:
        if name is None:
            continue
        engine = create_engine(
            with_database(url, name),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": 10},
        )
        try:
            connection = engine.connect()
        except DBAPIError as error:
            if name == candidates[-1]:
                told = translate(error)
                raise type(told)(f"{redact(url)}: {told}") from error
            continue
        with connection:
            yield connection
        return
