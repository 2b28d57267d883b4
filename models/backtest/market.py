"""Closes of series and forecasts of a vault as the bars and scores of a backtest.

A leg is priced as the keeper prices it: by the newest close that is not older than its series may be, 1 / rate for a
token of the quote currency; the stable leg is a dollar.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.backtest.bars import DAY_US, Bars
from models.backtest.request import Terms
from models.contracts.horizons import PROTOCOLS
from models.contracts.market import DataMode, SeriesKind
from models.contracts.score import PUBLISHED, Score, ScoreStatus
from models.contracts.vault import VaultConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_PERIODS_A_YEAR = PROTOCOLS[SeriesKind.VAULT].periods_a_year
_VALID = timedelta(days=1)  # a walk-forward forecast is of one midnight; the next takes its place


@dataclass(frozen=True, eq=False)
class Closes:
    """Believed closes of one series: `as_of_us` (n,) microseconds since 1970 from which each was known, increasing;
    `close` (n,) above 0."""

    as_of_us: IntArray
    close: FloatArray


class VaultMarket(Protocol):
    """What every kind of run reads of a market: vaults by id, with the terms of their legs, and closes by series."""

    def vaults(self) -> Mapping[str, tuple[VaultConfig, Mapping[str, Terms]]]: ...

    def closes(self, series: Sequence[str]) -> Mapping[str, Closes]: ...


@dataclass(frozen=True, slots=True)
class Published:
    """What the gate would have published of a vault at one origin."""

    as_of: datetime
    score: float | None
    p_spike: float | None
    rv_forecast: float
    var99: float | None
    es99: float | None


def bars_of(vault: VaultConfig, terms: Mapping[str, Terms], closes: Mapping[str, Closes]) -> Bars | None:
    """Bars on the grid of the finest leg, from the first moment at which every leg has a price; None if there is none.

    Parameters
    ----------
    terms, closes : by series of the legs; a series without closes may be missing from `closes`.

    Returns
    -------
    Bars
        NaN where a leg's newest close is older than its `max_age_s`.
    """
    priced = [asset.series for asset in vault.assets if asset.series is not None]
    if not priced or any(series not in closes or not len(closes[series].close) for series in priced):
        return None
    step = min(terms[series].interval_s for series in priced) * 1_000_000
    first = max(int(closes[series].as_of_us[0]) for series in priced)
    last = max(int(closes[series].as_of_us[-1]) for series in priced)
    grid = np.arange(-(-first // step) * step, last + 1, step, dtype=np.int64)
    columns = []
    for asset in vault.assets:
        if asset.series is None:
            columns.append(np.ones(len(grid)))
            continue
        price = _prices(grid, closes[asset.series], terms[asset.series].max_age_s * 1_000_000)
        columns.append(1.0 / price if asset.invert else price)
    table = np.column_stack(columns) if len(grid) else np.empty((0, len(vault.assets)))
    complete = np.flatnonzero(np.isfinite(table).all(axis=1))
    if not len(complete):
        return None
    start = int(complete[0])
    return Bars(tuple(a.symbol for a in vault.assets), grid[start:].astype("datetime64[us]"), table[start:])


def usable_days(bars: Bars) -> IntArray:
    """Days since 1970 whose midnight close prices every leg: complete days, increasing."""
    midnight = (bars.times_us % DAY_US == 0) & bars.priced
    return np.asarray(bars.times_us[midnight] // DAY_US - 1)


def scores_of(vault_id: str, published: Sequence[Published], mode: DataMode) -> list[Score]:
    """Forecasts of the walk-forward as the scores that they would have been, each known at its origin's close."""
    return [
        Score(
            subject=f"vault:{vault_id}", horizon_days=1, as_of=row.as_of, issued_at=row.as_of,
            valid_until=row.as_of + _VALID, status=ScoreStatus.OK, reasons=(), score=row.score, p_spike=row.p_spike,
            rv_forecast=row.rv_forecast, sigma_ann=math.sqrt(_PERIODS_A_YEAR * row.rv_forecast), var99=row.var99,
            es99=row.es99, model_name=PUBLISHED, model_version="walk_forward", data_mode=mode, share_imputed=0.0,
            share_stale=0.0,
        )
        for row in published
    ]  # fmt: skip


def _prices(grid: IntArray, closes: Closes, max_age_us: int) -> FloatArray:
    newest = np.searchsorted(closes.as_of_us, grid, side="right") - 1
    there = np.maximum(newest, 0)
    fresh = (newest >= 0) & (grid - closes.as_of_us[there] <= max_age_us)
    return np.where(fresh, closes.close[there], np.nan)
