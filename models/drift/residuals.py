"""Residual drift: the forecasts that are served are off by a factor, seen hour by hour.

A residual is an hourly return over the volatility that the forecast in force promised for that hour. Its CUSUM sums
the log likelihood ratio of a changed scale (Page 1954), with Student's t(3) for both scales, so that a single wick
cannot fire. Four changed scales are watched as a mixture, because nobody knows beforehand how large a drift will be.

The forecast follows the market, so residuals are far steadier than volatility itself, and a factor of two is found in
days. A rise that the next forecast takes in is no drift of this kind: see `models.drift.volatility`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from models.drift.alarms import NotEnoughHistory
from models.drift.thresholds import DAYS_A_QUARTER, Threshold, calibrate, daily_maxima, episodes

FloatArray = NDArray[np.float64]

DEGREES = 3.0
SCALES = (0.5, 1.5, 2.0, 3.0)  # promised too much, and promised too little by as much as may be
REARM_H = 14 * 24
MEAN_BLOCK_DAYS = 30.0
MIN_HOURS = 180 * 24
_FORGET = 0.5 ** (1 / 240.0)  # evidence older than ten days half counts: a standing bias of some per cent is no drift
_MEDIAN_T3 = 0.7648923  # median of |t(3)|


@dataclass(frozen=True, slots=True)
class ResidualDetector:
    """`usual` (24,) size of a residual by hour of the day (median |z| over that of t(3)); `threshold` of the CUSUM."""

    usual: FloatArray
    threshold: Threshold


def residuals(times: pd.DatetimeIndex, returns: FloatArray, issued: pd.DataFrame) -> FloatArray:
    """(n,) returns over the promised volatility of an hour.

    Parameters
    ----------
    times : (n,) open of each hour, aware UTC
    issued : `as_of` (aware UTC) and `rv_forecast` (variance a day) of one-day forecasts; the newest that was made by
        an hour's open counts for it, and for no hour after its day: NaN there
    """
    ordered = issued.sort_values("as_of")
    known = pd.DatetimeIndex(ordered["as_of"])
    place = known.searchsorted(times, side="right") - 1
    row = np.maximum(place, 0)
    age = times - known[row] if len(known) else pd.TimedeltaIndex([pd.NaT] * len(times))
    in_force = (place >= 0) & np.asarray(age < pd.Timedelta(days=1))
    promised = np.sqrt(ordered["rv_forecast"].to_numpy(dtype=float) / 24.0)
    out = np.full(len(times), np.nan)
    out[in_force] = returns[in_force] / promised[row[in_force]]
    return out


def fit(times: pd.DatetimeIndex, history: FloatArray, per_quarter: float, rng: np.random.Generator) -> ResidualDetector:
    """Detector from quiet residuals (n,), NaN = missing. Raises NotEnoughHistory under 180 days of them."""
    known = np.isfinite(history)
    if known.sum() < MIN_HOURS:
        raise NotEnoughHistory(f"{int(known.sum())} hours of residuals are there, {MIN_HOURS} are needed")
    hour = np.asarray(times.hour)
    sizes = [np.abs(history[known & (hour == h)]) for h in range(24)]
    overall = float(np.median(np.abs(history[known])))
    usual = np.array([float(np.median(size)) if len(size) and np.median(size) > 0 else overall for size in sizes])
    if not overall > 0:
        raise NotEnoughHistory("half of the residuals are zero: there is no usual size of one")
    usual = usual / _MEDIAN_T3
    path = cusum(history / usual[hour])
    days = daily_maxima(path)
    limit = calibrate(days, DAYS_A_QUARTER, per_quarter, REARM_H // 24, MEAN_BLOCK_DAYS, rng)
    return ResidualDetector(usual, limit)


def statistic(detector: ResidualDetector, times: pd.DatetimeIndex, values: FloatArray) -> FloatArray:
    """(n,) CUSUM of the residuals, which starts at zero with the first of them."""
    return cusum(values / detector.usual[np.asarray(times.hour)])


def alarms(detector: ResidualDetector, times: pd.DatetimeIndex, values: FloatArray) -> NDArray[np.int64]:
    """Rows at which an alarm is raised; it stands until two weeks after its last exceedance."""
    return episodes(statistic(detector, times, values), detector.threshold.value, REARM_H)


def as_document(detector: ResidualDetector) -> dict[str, object]:
    """JSON-able form; `from_document` gives the same detector back."""
    limit = detector.threshold
    return {
        "usual": detector.usual.tolist(),
        "threshold": [limit.value, limit.per_quarter, limit.observed, limit.quarters],
    }


def from_document(document: Mapping[str, Any]) -> ResidualDetector:
    """Raises KeyError for a document that is none."""
    return ResidualDetector(np.asarray(document["usual"], dtype=float), Threshold(*document["threshold"]))


def log_ratio(z: FloatArray, scale: float) -> FloatArray:
    """Log likelihood ratio of t(3) scaled by `scale` against t(3)."""
    ratio = np.log1p(z**2 / DEGREES) - np.log1p((z / scale) ** 2 / DEGREES)
    return np.asarray(-np.log(scale) + (DEGREES + 1.0) / 2.0 * ratio)


def cusum(z: FloatArray) -> FloatArray:
    """(n,) largest of the CUSUMs of all watched scales; a missing residual leaves them where they were."""
    gains = np.stack([log_ratio(z, scale) for scale in SCALES])
    return np.asarray(_cusum(gains, _FORGET))


@njit(cache=True, nogil=True)
def _cusum(gains: FloatArray, forget: float) -> FloatArray:
    scales, n = gains.shape
    out = np.zeros(n)
    state = np.zeros(scales)
    for t in range(n):
        for k in range(scales):
            if not np.isnan(gains[k, t]):
                state[k] = max(0.0, forget * state[k] + gains[k, t])
        out[t] = state.max()
    return out
