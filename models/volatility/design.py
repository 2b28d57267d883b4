"""Inputs of the pooled learner: one matrix per series, every column a ratio or a logarithm, so that series compare.

Each row uses rows up to itself only; the market columns use the same moment of the other series. A column whose
source is missing stays NaN: trees route it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.contracts.market import SeriesKind
from models.volatility.ewma import EWMA_DECAY, ewma
from models.volatility.panel import Grid, Panel

FloatArray = NDArray[np.float64]

LAGS = 5
MARKET_WINDOW = 365
DRAWDOWN_WINDOW = 90
# Range estimators and late-day variances enter as logarithms relative to the day's realised variance ...
VARIANCE_COLUMNS = ("parkinson", "garman_klass", "rogers_satchell", "rv_6h", "rv_12h")
# ... these as they are.
PLAIN_COLUMNS = (
    "neg_share", "jump_share", "unchanged_share", "ema_ratio", "vwap_gap", "volume_z", "premium", "premium_age_h",
    "funding_rate", "is_month_end",
)  # fmt: skip


@dataclass(frozen=True)
class Design:
    """`rows[series]` (n, k) float32, columns as in `names`."""

    names: tuple[str, ...]
    rows: Mapping[str, NDArray[np.float32]]


@lru_cache(maxsize=1)  # every learner of a panel asks for it; the last panel is kept, no more
def build_design(panel: Panel) -> Design:
    """Design matrices of a panel."""
    states = _market_states(panel)
    columns = {series: _own(grid, panel) for series, grid in panel.grids.items()}
    for series, own in columns.items():
        market = states.reindex(pd.DatetimeIndex(panel.grids[series].as_of)).ffill(limit=3)
        own |= {str(name): market[name].to_numpy() for name in states}
        own["relative_level"] = own["standard_level"] - own["market_mean"]
    names = tuple(next(iter(columns.values()), ()))
    return Design(names, {s: np.column_stack(list(own.values())).astype(np.float32) for s, own in columns.items()})


def _own(grid: Grid, panel: Panel) -> dict[str, FloatArray]:
    """Columns (n,) of one series by name; plain arrays, because a frame that grows column by column takes longer than
    all that is in it."""
    _, week, month = panel.protocol.har_lags
    log_rv, rv, ret = pd.Series(np.log(grid.rv)), pd.Series(grid.rv), pd.Series(grid.ret)
    smooth = ewma(grid.rv, EWMA_DECAY)
    sigma, level = np.sqrt(smooth), log_rv.to_numpy()
    out = {f"log_rv_{lag}": log_rv.shift(lag).to_numpy() for lag in range(LAGS)}
    for span in (week, month, 3 * month):
        out[f"log_mean_{span}"] = np.log(rv.rolling(span, min_periods=int(0.8 * span)).mean().to_numpy())
    out["log_ewma"] = np.log(smooth)
    out["vol_of_vol"] = log_rv.diff().rolling(month, min_periods=10).std().to_numpy()
    out["slope_short"] = level - out[f"log_mean_{week}"]
    out["slope_long"] = out[f"log_mean_{week}"] - out[f"log_mean_{3 * month}"]
    out["shock"] = grid.ret / sigma
    out["shock_size"] = np.abs(out["shock"])
    for span in (week, month):
        out[f"momentum_{span}"] = ret.rolling(span, min_periods=3).sum().to_numpy() / (sigma * math.sqrt(span))
    out["rank"] = log_rv.rolling(panel.protocol.spike_window, min_periods=120).rank(pct=True).to_numpy()
    wealth = ret.fillna(0.0).cumsum()
    out["drawdown"] = (wealth - wealth.rolling(DRAWDOWN_WINDOW, min_periods=20).max()).to_numpy() / sigma
    out["weekday"] = _first_target_weekday(grid, panel.kind)
    for name in VARIANCE_COLUMNS:
        out[name] = np.log(np.maximum(grid.columns[name], RV_FLOOR)) - level
    out |= {name: grid.columns[name] for name in PLAIN_COLUMNS}
    out["standard_level"] = _standardised(log_rv).to_numpy()
    return out


def _first_target_weekday(grid: Grid, kind: SeriesKind) -> FloatArray:
    """ISO weekday (1-7) of the first day that the forecast is about; rates trade Monday to Friday."""
    day = pd.DatetimeIndex(grid.as_of).day_of_week.to_numpy()
    if kind in (SeriesKind.RANGES, SeriesKind.FIXINGS):
        day = np.where(day >= 5, 0, day)
    return np.asarray(day + 1.0)


def _standardised(log_rv: pd.Series) -> pd.Series:
    window = log_rv.rolling(MARKET_WINDOW, min_periods=120)
    spread = window.std()
    return (log_rv - window.mean()) / spread.where(spread > 1e-9)


def _market_states(panel: Panel) -> pd.DataFrame:
    """Cross-section of standardised log variance: its mean, its maximum, and the mean of the last five days."""
    levels = pd.DataFrame(
        {
            series: pd.Series(_standardised(pd.Series(np.log(grid.rv))).to_numpy(), pd.DatetimeIndex(grid.as_of))
            for series, grid in panel.grids.items()
        }
    ).sort_index()
    enough = levels.notna().sum(axis=1) >= 2
    mean = levels.mean(axis=1)
    return pd.DataFrame(
        {
            "market_mean": mean.where(enough),
            "market_max": levels.max(axis=1).where(enough),
            "market_week": mean.rolling(5, min_periods=3).mean(),
        }
    )
