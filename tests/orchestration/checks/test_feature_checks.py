"""What counts as knowing too much, on a small table in place of the features."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from models.contracts.market import Calendar, DataMode, Dataset, SeriesKind, SeriesSpec
from orchestration.checks.feature_checks import no_future_knowledge
from orchestration.resources.workspace import Workspace
from orchestration.settings import load_settings

AS_OF = datetime(2026, 1, 1, 11, tzinfo=UTC)
HOURLY = SeriesSpec("BTC", Dataset.CANDLES, SeriesKind.CANDLES, Calendar.ALWAYS, "1h", 3600, 7200, "BTC", "USDT", "t")
DAILY = replace(HOURLY, interval="1d", publication_lag_s=86_400)  # the same coin in days is published a day later


@pytest.mark.parametrize(
    ("market", "late", "passed"),
    [
        ("simulated", timedelta(0), True),
        ("simulated", timedelta(seconds=1), False),
        ("live", timedelta(hours=1, minutes=2), True),  # a tick was missed
        ("live", timedelta(hours=2, minutes=1), False),
    ],
)
def test_a_row_knows_what_its_moment_allows(workspace: Workspace, market: str, late: timedelta, passed: bool) -> None:
    settings = load_settings({"BALLAST_MARKET": market, "BALLAST_STATE": str(workspace.settings.state_root)})
    other = Workspace.of(settings, workspace.warehouse_url)
    other.warehouse.upsert_series([HOURLY, DAILY], DataMode(market))
    other.warehouse.execute("create table features.volatility (series text, as_of timestamptz, known_at timestamptz)")
    other.warehouse.execute(
        "insert into features.volatility values ('BTC', :as_of, :known_at)", {"as_of": AS_OF, "known_at": AS_OF + late}
    )
    found = no_future_knowledge(dg.build_asset_check_context(), other)
    other.close()
    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is passed
