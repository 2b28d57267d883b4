"""Generators on recorded coins: paths cluster as the coins did, and what they say of drawdowns comes true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from models.stress.bootstrap import fit_bootstrap
from models.stress.generator import PathGenerator
from models.stress.regime_generator import fit_regime_generator

FloatArray = NDArray[np.float64]

COINS = ("BTC", "ETH", "XRP", "LTC")
HORIZON, WARM_UP, WINDOW = 30, 730, 1500


@pytest.fixture(scope="module")
def returns(real_data: Path) -> dict[str, FloatArray]:
    found = {}
    for coin in COINS:
        bars = pd.read_csv(real_data / "candles_1d" / f"{coin}.csv.gz")
        found[coin] = np.diff(np.log(bars["close"].to_numpy()))
    return found


def clustering(paths: FloatArray) -> FloatArray:
    """(paths, 3): correlation of |r| with itself, mean over lags of days, of weeks, and the spread of the log of its
    monthly mean."""
    size = np.abs(paths)
    centred = size - size.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1)
    lags = [(centred[:, k:] * centred[:, :-k]).mean(axis=1) / variance for k in range(1, 51)]
    months = np.log(np.lib.stride_tricks.sliding_window_view(size, 22, axis=1).mean(axis=2)).std(axis=1)
    return np.column_stack([np.mean(lags[:10], axis=0), np.mean(lags[10:], axis=0), months])


@pytest.mark.realdata
@pytest.mark.parametrize("kind", ["bootstrap", "regimes"])
@pytest.mark.parametrize("coin", ["BTC", "XRP"])
def test_paths_cluster_as_the_coin_did(returns: dict[str, FloatArray], coin: str, kind: str) -> None:
    own = returns[coin]
    generators: dict[str, PathGenerator] = {
        "bootstrap": fit_bootstrap(own[:, None]),
        "regimes": fit_regime_generator(own[:, None]).in_the_long_run(),
    }
    paths = generators[kind].paths(150, len(own), seed=0)[..., 0]
    low, high = np.quantile(clustering(paths), [0.025, 0.975], axis=0)
    real = clustering(own[None, :])[0]
    assert (low <= real).all()
    assert (real <= high).all()


@pytest.mark.realdata
def test_drawdowns_fall_where_the_scaled_bootstrap_says(returns: dict[str, FloatArray]) -> None:
    places = []
    for own in returns.values():
        for t in range(WARM_UP, len(own) - HORIZON, HORIZON):
            engine = fit_bootstrap(own[max(0, t - WINDOW) : t, None])
            equity = np.exp(np.append(0.0, np.cumsum(own[t : t + HORIZON])))
            fall = (1.0 - equity / np.maximum.accumulate(equity)).max()
            places.append((engine.statistics(400, HORIZON, seed=t).max_drawdown[:, 0] < fall).mean())
    place = np.array(places)
    assert stats.binomtest(int((place > 0.95).sum()), len(place), 0.05).pvalue > 0.01
    assert stats.binomtest(int((place > 0.99).sum()), len(place), 0.01).pvalue > 0.01
    assert stats.kstest(place, "uniform").pvalue > 0.01
