"""Fixtures every room shares: a real PostgreSQL, a fresh migrated database, the folder of real data."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from orchestration.local import embedded_postgres
from orchestration.migrations.run import migrate
from orchestration.resources.database_url import normalise, with_database


def _execute(server_url: str, statement: str) -> None:
    engine = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))


def _memory_folder() -> Path | None:
    """A file system in memory, if there is room: copying the template takes 20 ms there and 400 ms on a disk."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 2**30
    return memory if roomy else None


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    """An empty folder for a server of the test's own, in memory where there is room."""
    folder = Path(tempfile.mkdtemp(prefix="ballast-test-", dir=_memory_folder()))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """One server for the whole session: embedded and forgetful, or the one BALLAST_TEST_DATABASE_URL names."""
    outside = os.environ.get("BALLAST_TEST_DATABASE_URL")
    if outside:
        yield normalise(outside)
        return
    folder = Path(tempfile.mkdtemp(prefix="ballast-test-", dir=_memory_folder()))
    cluster = embedded_postgres.Cluster(folder / "postgres")
    try:
        embedded_postgres.start(cluster, durable=False)
        yield cluster.url
    finally:
        embedded_postgres.stop(cluster)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template_database(server_url: str) -> Iterator[str]:
    """Name of a migrated database nobody connects to: the others are copies of it."""
    name = f"ballast_template_{uuid.uuid4().hex[:12]}"
    _execute(server_url, f"create database {name}")
    try:
        migrate(with_database(server_url, name))
        yield name
    finally:
        _execute(server_url, f"drop database if exists {name} with (force)")


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database without any schema of ours."""
    name = f"ballast_empty_{uuid.uuid4().hex[:12]}"
    _execute(server_url, f"create database {name}")
    try:
        yield with_database(server_url, name)
    finally:
        _execute(server_url, f"drop database if exists {name} with (force)")


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """A freshly migrated database, dropped after the test."""
    name = f"ballast_test_{uuid.uuid4().hex[:12]}"
    _execute(server_url, f"create database {name} template {template_database} strategy file_copy")
    try:
        yield with_database(server_url, name)
    finally:
        _execute(server_url, f"drop database if exists {name} with (force)")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url, poolclass=NullPool)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of recorded market data: BALLAST_REAL_DATA, else `shared/data` beside the project."""
    folder = Path(os.environ.get("BALLAST_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        if os.environ.get("BALLAST_REAL_DATA_REQUIRED") == "1":
            pytest.fail(f"real data is required and {folder} does not exist: set BALLAST_REAL_DATA")
        pytest.skip(f"no real market data: {folder} does not exist (BALLAST_REAL_DATA)")
    return folder
