"""Fixtures of the wiring: a workspace on a throw-away database, with a clock that stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.contracts.clock import MarketClock
from models.contracts.market import DataMode
from orchestration.resources.workspace import Workspace
from orchestration.settings import load_settings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    settings = load_settings({"BALLAST_STATE": str(tmp_path)})
    made = Workspace.of(settings, database_url)
    made.warehouse.set_market("simulated", DataMode.SIMULATED, settings.seed, MarketClock(NOW, None, 1.0))
    yield made
    made.close()
