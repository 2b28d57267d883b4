"""Detectors on recorded coins: planted drift in time, quiet halves quiet. Bounds hold with room on every coin tried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.drift.anomalies import find_anomalies
from models.drift.delay_curve import delay_curve
from models.drift.volatility import HourlyStream

COINS = ("BTC", "ETH", "XLM", "XRP", "LTC", "ADA", "BNB")


@pytest.fixture(scope="module")
def recorded(real_data: Path) -> dict[str, pd.DataFrame]:
    found = {}
    for name in COINS:
        bars = pd.read_csv(real_data / "candles_1h" / f"{name}.csv.gz")
        found[name] = bars.set_index(pd.to_datetime(bars.pop("ts"), utc=True))
    return found


def stream_of(recorded: dict[str, pd.DataFrame], name: str) -> HourlyStream:
    own = recorded[name]
    hours = pd.date_range(own.index[0], own.index[-1], freq="1h")
    returns = {coin: np.log(bars["close"].reindex(hours)).diff().to_numpy() for coin, bars in recorded.items()}
    peers = np.column_stack([returns[coin] for coin in COINS if coin != name])
    return HourlyStream(hours, returns[name], own["volume_base"].reindex(hours).to_numpy(dtype=float), peers)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["BTC", "ETH"])
def test_doubled_volatility_is_found_within_five_days(recorded: dict[str, pd.DataFrame], name: str) -> None:
    stream = stream_of(recorded, name)
    half = len(stream.returns) // 2
    curve = delay_curve(stream, half, np.random.default_rng(0), explained=True, rates=(0.5,), factors=(2.0,), plants=40)
    (row,) = curve.to_dict("records")
    assert row["median_h"] <= 72
    assert row["within_120h"] >= 0.9
    assert row["false_alarms"] <= 1.0


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["BTC", "ADA"])
def test_few_bars_of_a_recorded_coin_are_odd_without_its_market(recorded: dict[str, pd.DataFrame], name: str) -> None:
    closes = pd.DataFrame({coin: bars["close"] for coin, bars in recorded.items() if coin != name})
    odd = find_anomalies(recorded[name], closes)
    months = (recorded[name].index[-1] - recorded[name].index[0]) / pd.Timedelta(days=30.44)
    alone = [reasons for reasons in odd["reasons"] if "shared_by_peers" not in reasons]
    assert len(alone) / months <= 1.0
