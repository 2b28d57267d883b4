"""Regimes of recorded coins: they matter for the next day, they last, and they never change afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.regimes.hysteresis import spell_lengths
from models.regimes.labels import chains_until_now, observed, regimes_of
from models.regimes.states import VOLATILITY_REGIMES, Method
from models.timeseries.realised import from_candles
from models.volatility.panel import Panel, build_panel

pytestmark = pytest.mark.realdata

MIN_RATIO = 2.5  # of the next day's variance, stressed over calm
MIN_SPELL_DAYS = 10
COINS = ("ADA", "BNB", "BTC", "ETH", "LTC", "XLM", "XRP")


def panel_of(folder: Path, coins: tuple[str, ...]) -> Panel:
    frames = []
    for coin in coins:
        bars = pd.read_csv(folder / "candles_1h" / f"{coin}.csv.gz")
        bars.index = pd.to_datetime(bars["ts"], utc=True)
        days = from_candles(bars[["close", "high", "low"]].astype(float))
        frames.append(days[days["is_origin"]].reset_index().assign(series=coin))
    return build_panel(pd.concat(frames, ignore_index=True), SeriesKind.CANDLES)


def told(panel: Panel, coin: str) -> pd.DataFrame:
    grid = panel.grids[coin]
    chains = chains_until_now(observed(grid, panel.kind), grid.as_of, panel.protocol)
    return regimes_of(grid, panel.kind, panel.protocol, chains)


@pytest.fixture(scope="module")
def panel(real_data: Path) -> Panel:
    return panel_of(real_data, COINS)


@pytest.mark.parametrize("coin", COINS)
def test_regimes_matter_and_last(panel: Panel, coin: str) -> None:
    frame, grid = told(panel, coin), panel.grids[coin]
    ahead = pd.Series(np.append(grid.rv[1:], np.nan))
    for method in Method:
        label = frame[frame["method"] == method.value]["label"].reset_index(drop=True)
        mean = ahead.groupby(label).mean()
        assert mean["stressed"] > mean["normal"] > mean["calm"]
        assert mean["stressed"] / mean["calm"] >= MIN_RATIO
        if method is Method.HMM:  # the twin flickers: its median spell is 7 to 11 days
            codes = pd.Categorical(label.dropna(), categories=list(VOLATILITY_REGIMES)).codes
            assert np.median(spell_lengths(codes.astype(np.int64))) >= MIN_SPELL_DAYS


@pytest.mark.parametrize("cut", ["2020-03-12", "2021-05-20", "2022-11-09"])
def test_the_state_of_a_day_is_the_same_without_the_days_after_it(panel: Panel, cut: str) -> None:
    grid = panel.grids["BTC"]
    rows = grid.rows_until(np.datetime64(cut, "us"))
    days = pd.DataFrame({"series": "BTC", "as_of": grid.as_of, "rv": grid.rv, "ret": grid.ret})
    short = build_panel(days.iloc[:rows], panel.kind)
    whole = told(build_panel(days, panel.kind), "BTC")
    early = whole[whole["as_of"] <= pd.Timestamp(cut, tz="UTC")].reset_index(drop=True)
    pd.testing.assert_frame_equal(told(short, "BTC"), early, check_exact=True, check_dtype=False)
