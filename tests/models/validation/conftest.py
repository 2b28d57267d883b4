"""Small panels of every kind with their warts: staggered starts, holes, columns that a source does not have."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind

Panels = Callable[..., pd.DataFrame]
COINS = (SeriesKind.CANDLES, SeriesKind.VAULT)


def _series(name: str, kind: SeriesKind, days: int, late: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frequency = "D" if kind in COINS else "B"
    calendar = pd.date_range("2020-01-01", periods=days, freq=frequency, tz="UTC")[late:]
    n = len(calendar)
    level = np.empty(n)
    level[0] = -8.0
    for day in range(1, n):
        level[day] = -8.0 + 0.95 * (level[day - 1] + 8.0) + 0.25 * rng.standard_normal()
    rv = np.exp(level)
    rows = pd.DataFrame({"series": name, "as_of": calendar, "rv": rv, "ret": rng.standard_normal(n) * np.sqrt(rv)})
    rows["unchanged_share"] = 0.0
    rows["parkinson"] = rv * np.exp(0.2 * rng.standard_normal(n))
    rows["premium"] = np.where(rng.random(n) < 0.3, np.nan, 0.02 * rng.standard_normal(n))
    if kind is SeriesKind.CANDLES:
        rows["rv_6h"], rows["rv_12h"] = rv * rng.uniform(0.1, 0.4, n), rv * rng.uniform(0.4, 0.6, n)
        rows["neg_share"], rows["jump_share"] = rng.uniform(0.2, 0.8, n), rng.uniform(0.1, 0.5, n)
        rows["volume_z"] = rng.standard_normal(n)
    rows.loc[rows.index[n // 2 : n // 2 + 4], ["rv", "parkinson"]] = np.nan
    if kind not in COINS:
        rows = rows.drop(rows.index[[n // 3, n // 3 + 1]])
    return rows


@cache
def simulated(kind: SeriesKind, days: int = 1130, series: int = 3) -> pd.DataFrame:
    """Rows as `features.volatility` holds them; each series starts 17 days after the one before."""
    names = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")[:series]
    parts = [_series(name, kind, days, 17 * place, place) for place, name in enumerate(names)]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def panel_rows() -> Panels:
    """panel_rows(kind, days=1130, series=3)."""
    return simulated
