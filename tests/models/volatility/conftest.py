"""A simulated market with known persistence of variance: three coins, made once."""

import numpy as np
import pandas as pd
import pytest

from models.timeseries.realised import from_candles

DAYS = 940


def _coin(name: str, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    log_variance = np.empty(DAYS)
    level = np.log(9e-4)
    log_variance[0] = level
    for day in range(1, DAYS):
        log_variance[day] = level + 0.95 * (log_variance[day - 1] - level) + 0.25 * rng.standard_normal()
    sigma = np.repeat(np.exp(log_variance / 2) / np.sqrt(24), 24)
    close = 100 * np.exp(np.cumsum(rng.standard_normal(DAYS * 24) * sigma))
    index = pd.date_range("2021-01-01", periods=DAYS * 24, freq="1h", tz="UTC")
    bars = pd.DataFrame({"close": close, "high": close * 1.001, "low": close * 0.999}, index=index)
    return from_candles(bars.drop(bars.index[5000:5010])).reset_index().assign(series=name, kind="candles")


@pytest.fixture(scope="session")
def hourly() -> pd.DataFrame:
    """Rows of every hour, as the feature table holds them."""
    return pd.concat([_coin(name, seed) for seed, name in enumerate(("AAA", "BBB", "CCC"))], ignore_index=True)


@pytest.fixture(scope="session")
def daily(hourly: pd.DataFrame) -> pd.DataFrame:
    """Rows of the daily origins."""
    return hourly[hourly["is_origin"]].reset_index(drop=True)
