"""Thresholds from a statistic's own past: how high it must stand to give at most so many alarms a quarter.

Here: episodes above a threshold (the reset rule) and the stationary bootstrap that turns a path of any statistic into
a threshold with a stated false-alarm rate. What the statistic measures is the business of the other files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.drift.alarms import NotEnoughHistory

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAYS_A_QUARTER = 365.25 / 4
RESAMPLES = 200
CONFIDENCE = 0.9  # share of resampled histories that must keep the stated rate: a rate that holds only on average ...
MIN_QUARTERS = 2.0  # ... over the past is broken by every second future
_STEP = 0.3


@dataclass(frozen=True, slots=True)
class Threshold:
    """Alarm while the statistic is above `value`.

    `per_quarter`: stated rate of false alarms. A history without a single episode cannot show less than one in its
    own length, so a smaller wish is stated as that. `observed`: rate in the history itself. `quarters`: its length.
    """

    value: float
    per_quarter: float
    observed: float
    quarters: float


def episodes(statistic: FloatArray, threshold: float, rearm: int) -> IntArray:
    """Positions of the first row of each episode above the threshold.

    Parameters
    ----------
    statistic : (n,) NaN is not above anything
    rearm : rows; an alarm stands, and no second one is raised, until this many rows went by without an exceedance
    """
    with np.errstate(invalid="ignore"):
        above = np.flatnonzero(statistic > threshold)
    if not len(above):
        return np.empty(0, dtype=np.int64)
    return np.asarray(above[np.concatenate([[True], np.diff(above) > rearm])], dtype=np.int64)


def bootstrap_rows(n: int, mean_block: float, rng: np.random.Generator) -> IntArray:
    """Rows (n,) of one resampled history: blocks of geometric length from random starts (Politis & Romano 1994).

    A block that reaches the end goes on at the beginning.
    """
    fresh = rng.random(n) < 1.0 / mean_block
    fresh[0] = True
    starts = rng.integers(0, n, int(fresh.sum()))
    block = np.cumsum(fresh) - 1
    offset = np.arange(n) - np.flatnonzero(fresh)[block]
    return np.asarray((starts[block] + offset) % n, dtype=np.int64)


def calibrate(
    statistic: FloatArray,
    rows_a_quarter: float,
    per_quarter: float,
    rearm: int,
    mean_block: float,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Threshold:
    """Lowest threshold that keeps at most `per_quarter` episodes a quarter in `confidence` of the resampled histories.

    Parameters
    ----------
    statistic : (n,) its path over quiet history; rows with NaN are left out
    rearm, mean_block : rows; blocks must be long enough to keep the clusters in which exceedances come

    Raises
    ------
    NotEnoughHistory
        Under two quarters of rows: they cannot show a quarterly rate.
    """
    path = statistic[np.isfinite(statistic)]
    quarters = len(path) / rows_a_quarter
    if quarters < MIN_QUARTERS:
        raise NotEnoughHistory(f"{quarters:.1f} quarters of quiet history are there, {MIN_QUARTERS:.0f} are needed")
    if path.min() == path.max():  # nothing ever happened: no resampled history differs
        return Threshold(float(path[0]), max(per_quarter, 1.0 / quarters), 0.0, quarters)
    histories = np.stack([path[bootstrap_rows(len(path), mean_block, rng)] for _ in range(resamples)])
    candidates = np.unique(path)[::-1]  # from the highest: there nothing is above it

    def kept(place: int) -> bool:
        return _rate(histories, float(candidates[place]), rearm, quarters, confidence) <= per_quarter

    # From above, in growing steps to the first that fails, then between the two: what lies far below is seldom worth
    # a look, and each look counts the episodes of all resampled histories.
    low, high = 0, len(candidates)
    step = 1
    while low + step < len(candidates):
        if not kept(low + step):
            high = low + step
            break
        low += step
        step = max(1, int(_STEP * low))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if kept(middle) else (low, middle)
    value = float(candidates[low])
    stated = max(per_quarter, 1.0 / quarters)
    return Threshold(value, stated, len(episodes(path, value, rearm)) / quarters, quarters)


def daily_maxima(statistic: FloatArray, rows_a_day: int = 24) -> FloatArray:
    """(n,) -> (n // rows_a_day,) largest value of each day, NaN for a day without any; the oldest rows that fill no
    day are left out. Episodes re-arm after days, so that days suffice to count them."""
    days = len(statistic) // rows_a_day
    if not days:
        return np.empty(0)
    grid = statistic[-days * rows_a_day :].reshape(days, rows_a_day)
    filled = np.where(np.isnan(grid), -np.inf, grid).max(axis=1)
    return np.where(np.isneginf(filled), np.nan, filled)


def _rate(histories: FloatArray, threshold: float, rearm: int, quarters: float, confidence: float) -> float:
    """Alarms a quarter that the share `confidence` of the histories (resamples, n) does not exceed.

    One that stands for longer than `rearm` rows counts again, or a threshold that is always exceeded would have one.
    """
    above = histories > threshold
    # The last exceedance at or before each row, by a running maximum over positions: no loop over episodes.
    rows = np.arange(above.shape[1], dtype=np.int32)
    never = np.int32(-rearm - 1)
    before = np.maximum.accumulate(np.where(above, rows, never), axis=1)
    previous = np.concatenate([np.full((len(above), 1), never), before[:, :-1]], axis=1)
    first = above & (rows - previous > rearm)
    count = np.maximum(first.sum(axis=1), above.sum(axis=1) / (rearm + 1))
    return float(np.quantile(count / quarters, confidence))
