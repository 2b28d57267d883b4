"""Issued forecasts against outcomes that come late: calibration drift and performance drift.

An outcome of horizon h is known h days after the forecast, and counts an embargo day later. Until then the forecast
is open: it is neither a hit nor a miss, and no figure here uses it. How many are open is part of every answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS
from models.drift.alarms import NotEnoughHistory
from models.drift.thresholds import DAYS_A_QUARTER, Threshold, calibrate, episodes
from models.validation.losses import diebold_mariano, qlike

FloatArray = NDArray[np.float64]

PERFORMANCE_ROWS = 28
WORSE = 1.05  # five per cent more loss than the plainest forecast: the fallback to log-HAR costs less
SIGNIFICANT = 0.05
CALIBRATION_ROWS = 56  # with one spike in ten days: five or six of them
REARM_ROWS = 28
MEAN_BLOCK_ROWS = 30.0


@dataclass(frozen=True, slots=True)
class Known:
    """Rows whose outcome counts by now, oldest first, and how many are still open."""

    rows: pd.DataFrame
    open: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A path over known rows: `statistic` (n,) with its `threshold`, `alarms` rows at which an episode began.

    `known_at` (n,): when the newest outcome behind each value was known. `open`: forecasts without an outcome yet.
    """

    statistic: FloatArray
    threshold: Threshold
    alarms: NDArray[np.int64]
    known_at: pd.DatetimeIndex
    open: int


def known_outcomes(forecasts: pd.DataFrame, now: pd.Timestamp, horizon_days: int, day_length: float = 1.0) -> Known:
    """Forecasts whose outcome counts at `now`.

    Parameters
    ----------
    forecasts : one series: `as_of` (aware UTC), `realised` (NaN while it is not there)
    day_length : calendar days to a day of the series' own calendar (7/5 for rates)

    Returns
    -------
    Rows in time order with `known_at`. A row whose time has come but whose outcome is missing (a hole in the data)
    is neither known nor open.
    """
    ordered = forecasts.sort_values("as_of", ignore_index=True)
    wait = pd.Timedelta(days=(horizon_days + EMBARGO_DAYS) * day_length)
    rows = ordered.assign(known_at=(ordered["as_of"] + wait).dt.floor("us"))  # what a clock can show
    due = rows["known_at"] <= now
    return Known(rows[due & rows["realised"].notna()].reset_index(drop=True), int((~due).sum()))


def calibration_drift(
    known: Known, per_quarter: float, rng: np.random.Generator, *, rows_a_quarter: float = DAYS_A_QUARTER
) -> Judged:
    """Promised against seen spikes over the last 56 known outcomes, either way.

    `known.rows` need `p_spike` and `threshold` besides `realised`. The statistic is |mean of (spike - p)|; spikes
    cluster, so its threshold is that of the series' own bootstrapped path and not a binomial one. Raises
    NotEnoughHistory.
    """
    rows = known.rows.dropna(subset=["p_spike", "threshold"]).reset_index(drop=True)
    residual = (rows["realised"] > rows["threshold"]).astype(float) - rows["p_spike"]
    path = residual.rolling(CALIBRATION_ROWS).mean().abs().to_numpy(dtype=float)
    limit = calibrate(path, rows_a_quarter, per_quarter, REARM_ROWS, MEAN_BLOCK_ROWS, rng)
    return Judged(path, limit, episodes(path, limit.value, REARM_ROWS), pd.DatetimeIndex(rows["known_at"]), known.open)


def performance_drift(known: Known, horizon_days: int, *, rows_a_quarter: float = DAYS_A_QUARTER) -> Judged:
    """QLIKE of the last 28 known outcomes against EWMA's on the same rows, alarm above 1.05 with Diebold-Mariano
    p < 0.05.

    `known.rows` need `rv_forecast` and `ewma`. The statistic is the ratio where the test agrees, and 1 where it does
    not or the forecast is no worse. `threshold.per_quarter` is how often the rule spoke in this very history, or one
    in its length when it never did. Raises NotEnoughHistory under 28 rows.
    """
    rows = known.rows.dropna(subset=["rv_forecast", "ewma"]).reset_index(drop=True)
    n = len(rows)
    if n < PERFORMANCE_ROWS:
        raise NotEnoughHistory(f"{n} known outcomes are there, {PERFORMANCE_ROWS} are needed ({known.open} are open)")
    realised = rows["realised"].to_numpy(dtype=float)
    own = qlike(realised, rows["rv_forecast"].to_numpy(dtype=float))
    plain = qlike(realised, rows["ewma"].to_numpy(dtype=float))
    path = np.full(n, np.nan)
    for end in range(PERFORMANCE_ROWS, n + 1):
        part = slice(end - PERFORMANCE_ROWS, end)
        path[end - 1] = _ratio(own[part], plain[part], horizon_days)
    found = episodes(path, WORSE, REARM_ROWS)
    quarters = n / rows_a_quarter
    seen = len(found) / quarters
    limit = Threshold(WORSE, max(seen, 1.0 / quarters), seen, quarters)
    return Judged(path, limit, found, pd.DatetimeIndex(rows["known_at"]), known.open)


def _ratio(own: FloatArray, plain: FloatArray, horizon_days: int) -> float:
    ratio = float(own.mean() / plain.mean()) if plain.mean() > 0 else 1.0
    if ratio <= WORSE:
        return min(ratio, 1.0)
    # One-sided: the plain forecast has the lower expected loss.
    return ratio if diebold_mariano(plain, own, horizon_days)[1] < SIGNIFICANT else 1.0
