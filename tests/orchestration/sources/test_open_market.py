from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from models.contracts.market import DataMode
from models.stress.script import HISTORY_END
from orchestration.settings import SettingsError, load_settings
from orchestration.sources.budget import StateStore
from orchestration.sources.live import LiveMarket
from orchestration.sources.open_market import open_market
from orchestration.sources.replay import ReplayMarket
from orchestration.sources.simulated import SimulatedMarket


class NoCalls:
    """A state store that no opened market may touch before it is asked for data."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was called while opening")


def test_the_simulated_market_is_the_default() -> None:
    market = open_market(load_settings({}))
    assert isinstance(market, SimulatedMarket)
    assert (market.mode, market.name, market.history_end()) == (DataMode.SIMULATED, "simulated", HISTORY_END)


def test_a_folder_is_replayed(tmp_path: Path) -> None:
    (tmp_path / "fx_daily.csv").write_text("ts,base,quote,rate,source\n2020-01-01,USD,NGN,361,cbn\n", encoding="utf-8")
    market = open_market(load_settings({"BALLAST_MARKET": f"replay:{tmp_path}"}))
    assert isinstance(market, ReplayMarket)
    assert market.name == f"replay:{tmp_path}"
    assert market.history_end() == datetime(2020, 1, 2, tzinfo=UTC)


def test_the_live_market_needs_a_place_for_quotas() -> None:
    settings = load_settings({"BALLAST_MARKET": "live"})
    with pytest.raises(SettingsError, match="BALLAST_MARKET"):
        open_market(settings)
    market = open_market(settings, cast(StateStore, NoCalls()))
    assert isinstance(market, LiveMarket)
    assert {"BTC", "USDNGN:official"} <= {spec.id for spec in market.series()}
