"""Fixtures of the wiring: a workspace on a throw-away database, with a clock that stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from models.contracts.clock import MarketClock
from models.contracts.market import DataMode
from orchestration import quiet
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace
from orchestration.settings import load_settings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def catalogue(connection: Connection) -> None:
    """One coin and one currency, both scored."""
    connection.execute(
        text(
            "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, "
            "quote, source, scored, data_mode) values "
            "('BTC', 'candles', '1h', 'candles', 'always', 3600, 7200, 'BTC', 'USDT', 's', true, 'simulated'), "
            "('USDNGN:official', 'fx_rates', '1d', 'ranges', 'fx_week', 86400, 432000, 'USD', 'NGN', 's', true, "
            "'simulated')"
        )
    )


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    settings = load_settings({"BALLAST_STATE": str(tmp_path)})
    made = Workspace.of(settings, database_url)
    made.warehouse.set_market("simulated", DataMode.SIMULATED, settings.seed, MarketClock(NOW, None, 1.0))
    yield made
    made.close()


@pytest.fixture
def registry(empty_database_url: str, tmp_path: Path) -> ModelRegistry:
    """MLflow on a database of its own."""
    with quiet.libraries():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(empty_database_url, tmp_path.as_uri())
    return ModelRegistry(tracking_uri=empty_database_url, artifact_root=str(tmp_path))
