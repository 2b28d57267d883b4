"""An API that asks everybody for a key, on a migrated database without data, and keys for it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from models.access.keys import ID_BYTES, Scope, id_of, written
from orchestration.access import api_keys
from orchestration.resources.database_url import with_database
from serving.access.settings import AccessSettings
from serving.app import create_app
from serving.settings import ServingSettings

_NUMBERS = itertools.count(1)


@dataclass
class Keys:
    """Makes keys as the command does, with secrets that a test can look for."""

    engine: Engine
    url: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def make(self, *scopes: Scope, per_minute: int | None = None, age_days: float = 0, days: float = 1) -> str:
        key = written(next(_NUMBERS).to_bytes(ID_BYTES, "big"), uuid.uuid4().bytes + uuid.uuid4().bytes)
        wanted = api_keys.Wanted("test", scopes, days, per_minute)
        api_keys.create(self.engine, wanted, key, "test", self.now - timedelta(days=age_days))
        return key

    def revoke(self, key: str) -> None:
        api_keys.revoke(self.engine, id_of(key) or "", "lost", "test", datetime.now(UTC))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def settings_of(url: str, **access: Any) -> ServingSettings:
    return ServingSettings(url, access=AccessSettings(**{"public": frozenset(), **access}))


@pytest.fixture(scope="module")
def keys(server_url: str, template_database: str) -> Iterator[Keys]:
    name = f"ballast_keys_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template {template_database} strategy file_copy"))
    url = with_database(server_url, name)
    yield Keys(create_engine(url, poolclass=NullPool), url)
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture(scope="module")
def strict(keys: Keys) -> Iterator[TestClient]:
    with TestClient(create_app(settings_of(keys.url)), raise_server_exceptions=False) as made:
        yield made
