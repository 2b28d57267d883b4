"""Databases that dbt builds, and dbt itself as the project runs it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from orchestration import dbt_command
from orchestration.local.environment import dbt_connection
from orchestration.resources.database_url import with_database

Build = Callable[..., str]


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def market_url(server_url: str, template_database: str) -> Iterator[str]:
    """A migrated database that the tests of a module share: building it takes seconds."""
    server = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    name = f"ballast_dbt_{uuid.uuid4().hex[:12]}"
    with server.connect() as connection:
        connection.execute(text(f"create database {name} template {template_database} strategy file_copy"))
    try:
        yield with_database(server_url, name)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"drop database if exists {name} with (force)"))


@pytest.fixture(scope="module")
def market_engine(market_url: str) -> Engine:
    return create_engine(market_url, poolclass=NullPool)


@pytest.fixture(scope="module")
def dbt(market_url: str, dbt_target: Path) -> Build:
    """Runs dbt on the shared database: dbt("run", "--select", ...)."""

    def run(*arguments: str) -> str:
        return dbt_command.run(arguments, dbt_target, dbt_connection(market_url))

    return run
