"""Realised variance from raw prices: the slow, readable reference beside the dbt features.

Here belong the definitions of one day's variance and return for bars, fixings and ranges. Not here: the rule that
holds a price back (`models.timeseries.quarantine`), SQL, forecasts, targets. Every function looks back only.

Frames come out indexed by `as_of` (aware UTC: the close of the information) with columns named as in
`features.volatility`. Variances are per day, returns are logarithms, missing is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.timeseries.quarantine import as_prints, screen

FloatArray = NDArray[np.float64]

HOURS_A_DAY = 24
MIN_HOURS = 22  # two missing hours can be scaled away, more cannot
RANGE_CAP = 0.10  # a day's log range above this and above ...
RANGE_CAP_MULTIPLE = 10.0  # ... this many trailing medians is a feed error
UNCHANGED_LOG = 1e-9
UNCHANGED_WINDOW = 22
PARKINSON = 1.0 / (4.0 * math.log(2.0))


def from_candles(bars: pd.DataFrame) -> pd.DataFrame:
    """Variance of the trailing 24 hours at every full hour.

    Parameters
    ----------
    bars
        Hourly bars indexed by their open time (aware UTC); `close` and, if there, `high` and `low`. Bars with a
        close that is not positive are dropped; of a repeated hour the last row counts.

    Returns
    -------
    Frame indexed by hourly `as_of` with `origin` (date of the last hour), `is_origin`, `rv`, `ret`, `close`,
    `n_obs`, `n_expected`, `share_imputed`, `neg_share`, `jump_share`, `rv_6h`, `rv_12h` (sums of the last 6 and 12
    squares), `parkinson`. `rv` is the sum of squared hourly returns times 24 / n and NaN below 22 returns; a return
    across a hole does not count.
    """
    clean = bars[~bars.index.duplicated(keep="last")].sort_index()
    clean = clean[clean["close"] > 0]
    hours = pd.date_range(clean.index.min(), clean.index.max(), freq="1h")
    grid = clean.reindex(hours)
    r = np.log(grid["close"]).diff().to_numpy()
    windows = _trailing(r, HOURS_A_DAY)
    n = np.isfinite(windows).sum(axis=1)
    squares = np.nan_to_num(windows) ** 2
    enough = n >= MIN_HOURS
    scale = np.where(enough, HOURS_A_DAY / np.maximum(n, 1), np.nan)
    total = squares.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        negative = np.where(np.nan_to_num(windows) < 0, squares, 0.0).sum(axis=1) / total
        jump = squares.max(axis=1) / total
    close = grid["close"].ffill()
    out = pd.DataFrame(
        {
            "rv": np.maximum(total * scale, RV_FLOOR),
            "ret": np.log(close).diff(HOURS_A_DAY).to_numpy(),
            "close": close.to_numpy(),
            "n_obs": n,
            "n_expected": HOURS_A_DAY,
            "share_imputed": 1.0 - n / HOURS_A_DAY,
            "neg_share": np.where(enough, negative, np.nan),
            "jump_share": np.where(enough, jump, np.nan),
            "rv_6h": np.where(enough, squares[:, -6:].sum(axis=1), np.nan),
            "rv_12h": np.where(enough, squares[:, -12:].sum(axis=1), np.nan),
        },
        index=hours + pd.Timedelta(hours=1),
    )
    if {"high", "low"} <= set(grid.columns):
        high = grid["high"].rolling(HOURS_A_DAY, min_periods=1).max().to_numpy()
        low = grid["low"].rolling(HOURS_A_DAY, min_periods=1).min().to_numpy()
        out["parkinson"] = np.where(enough, np.log(high / low) ** 2 * PARKINSON, np.nan)
    as_of = pd.DatetimeIndex(out.index)
    out["origin"] = (as_of - pd.Timedelta(hours=1)).normalize().tz_localize(None)
    out["is_origin"] = as_of.hour == 0
    return out.rename_axis("as_of")


def quarantine(prices: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Replace a suspicious print by the last good one until enough prints in a row agree with each other.

    A real devaluation is accepted with its third agreeing print; a wrong scale on one or two days never enters.

    Returns
    -------
    The accepted prices and, aligned, whether the print of that row is held.
    """
    rates = prices.to_numpy(dtype=float)
    judged = screen(as_prints(rates))
    good = np.where(judged.held, judged.last_good, rates)
    return pd.Series(good, prices.index), pd.Series(judged.held, prices.index)


def from_fixings(rates: pd.Series) -> pd.DataFrame:
    """Squared log return of one published rate a business day, after the quarantine.

    Parameters
    ----------
    rates
        Indexed by publication date (UTC, naive or aware). Weekends, missing and non-positive values are dropped; of
        a repeated date the last row counts.
    """
    clean = rates[~rates.index.duplicated(keep="last")].sort_index().dropna()
    clean = clean[(clean > 0) & (_dates(clean).day_of_week < 5)]
    close, held = quarantine(clean)
    ret = np.log(close).diff().to_numpy()
    return _daily_rates(close, ret, ret**2, held)


def from_ranges(bars: pd.DataFrame) -> pd.DataFrame:
    """Parkinson variance of the day's range; a range that is a feed error gives way to the squared return.

    Parameters
    ----------
    bars
        Indexed by date, columns `open`, `high`, `low`, `close`. A row with a value that is not positive is dropped.

    Notes
    -----
    Parkinson (1980): ln(high / low)^2 / (4 ln 2). A log range over 0.10 and over ten times the median of the 60
    ranges before it is an error of the feed.
    """
    clean = bars[~bars.index.duplicated(keep="last")].sort_index()
    clean = clean[(clean[["open", "high", "low", "close"]] > 0).all(axis=1) & (_dates(clean).day_of_week < 5)]
    close, held = quarantine(clean["close"])
    ret = np.log(close).diff().to_numpy()
    log_range = pd.Series(np.log(clean["high"] / clean["low"]))
    usual = log_range.rolling(60, min_periods=20).median().shift(1)
    cap = (RANGE_CAP_MULTIPLE * usual).clip(lower=RANGE_CAP)
    variance = np.where((log_range <= cap).to_numpy(), log_range.to_numpy() ** 2 * PARKINSON, ret**2)
    return _daily_rates(close, ret, variance, held)


def har_terms(rv: FloatArray, lags: Sequence[int]) -> FloatArray:
    """Trailing means of `rv` (n,) over each lag -> (n, len(lags)); NaN where under 80 % of a window is present."""
    series = pd.Series(rv)
    columns = [series.rolling(lag, min_periods=max(1, int(0.8 * lag))).mean().to_numpy() for lag in lags]
    return np.column_stack(columns)


def _daily_rates(close: pd.Series, ret: FloatArray, variance: FloatArray, held: pd.Series) -> pd.DataFrame:
    dates = _dates(close)
    unchanged = pd.Series(np.abs(ret) < UNCHANGED_LOG, dtype=float)
    out = pd.DataFrame(
        {
            "rv": np.where(np.isnan(ret), np.nan, np.maximum(variance, RV_FLOOR)),
            "ret": ret,
            "close": close.to_numpy(),
            "n_obs": 1,
            "n_expected": 1,
            "share_imputed": 0.0,
            "is_held": held.to_numpy(),
            "unchanged_share": unchanged.rolling(UNCHANGED_WINDOW, min_periods=5).mean().to_numpy(),
            "origin": dates,
            "is_origin": True,
        },
        index=(dates + pd.Timedelta(days=1)).tz_localize("UTC"),
    )
    return out.rename_axis("as_of")


def _dates(frame: pd.DataFrame | pd.Series) -> pd.DatetimeIndex:
    index = pd.DatetimeIndex(frame.index)
    return (index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index).normalize()


def _trailing(values: FloatArray, width: int) -> FloatArray:
    padded = np.concatenate([np.full(width - 1, np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, width)
