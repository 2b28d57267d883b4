"""An API on a real database: views built by dbt, rows written as the pipeline writes them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from models.access.keys import Scope
from orchestration.resources.database_url import with_database
from serving.access.settings import AccessSettings
from serving.app import create_app
from serving.settings import ServingSettings

PROJECT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _build_views(url: str, scratch: Path) -> None:
    parts = make_url(url)
    environment = os.environ | {
        "BALLAST_PG_HOST": str(parts.query.get("host") or parts.host),
        "BALLAST_PG_PORT": str(parts.port or 5432),
        "BALLAST_PG_USER": parts.username or "",
        "BALLAST_PG_PASSWORD": parts.password or "",
        "BALLAST_PG_DBNAME": parts.database or "",
        "DBT_TARGET_PATH": str(scratch / "target"),
        "DBT_LOG_PATH": str(scratch / "logs"),
    }
    command = [str(Path(sys.executable).with_name("dbt")), "run", "--select", "serving", "--quiet"]
    folders = ["--project-dir", str(PROJECT / "dbt_project"), "--profiles-dir", str(PROJECT / "dbt_project")]
    subprocess.run([*command, *folders], env=environment, check=True, timeout=120)


@pytest.fixture(scope="session")
def serving_template(
    server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a migrated database that also holds the serving views."""
    name = f"ballast_serving_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template {template_database}"))
    _build_views(with_database(server_url, name), tmp_path_factory.mktemp("dbt"))
    yield name
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture
def serving_url(server_url: str, serving_template: str) -> Iterator[str]:
    name = f"ballast_api_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template {serving_template} strategy file_copy"))
    yield with_database(server_url, name)
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))


@pytest.fixture
def writer(serving_url: str) -> Engine:
    return create_engine(serving_url, poolclass=NullPool)


def without_keys(url: str) -> ServingSettings:
    """An API that lets everybody do everything: for tests that are not about who asks."""
    return ServingSettings(url, access=AccessSettings(public=frozenset(Scope)))


@pytest.fixture
def client(serving_url: str) -> Iterator[TestClient]:
    with TestClient(create_app(without_keys(serving_url))) as made:
        yield made


def set_clock(engine: Engine, at: datetime = NOW) -> None:
    """A simulated market whose clock stands at `at`."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.market (name, data_mode, clock_anchor) values ('simulated', 'simulated', :at) "
                "on conflict (singleton) do update set clock_anchor = excluded.clock_anchor"
            ),
            {"at": at},
        )


def add_score(engine: Engine, **changes: Any) -> None:
    """Write one score as scoring does; `changes` name the columns that differ from a calm, fresh BTC score."""
    row: dict[str, Any] = {
        "subject": "BTC", "subject_kind": "series", "horizon_days": 1, "as_of": NOW, "issued_at": NOW,
        "valid_until": NOW.replace(hour=2), "status": "ok", "reasons": [], "score": 61.5, "p_spike": 0.15,
        "rv_forecast": 4e-4, "sigma_ann": 0.38, "var99": 0.05, "es99": 0.07,
        "rv_low": 1e-4, "rv_high": 8e-4, "confidence": 0.9, "model_name": "volatility-candles-h1",
        "model_version": "3", "data_mode": "simulated", "share_imputed": 0.0, "share_stale": 0.0, "degraded": False,
        "drivers": '[{"name": "rv_w", "value": -7.5, "contribution": 0.25}]',
    } | changes  # fmt: skip
    columns = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    with engine.begin() as connection:
        connection.execute(text(f"insert into risk.scores ({columns}) values ({values})"), row)
