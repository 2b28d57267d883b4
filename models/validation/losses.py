"""Losses of variance forecasts and the test that compares two of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

QLIKE_CAP = 10.0  # one wick (464 in a single row of one coin) must not decide a panel of thousands of rows


def qlike(realised: FloatArray, forecast: FloatArray, cap: float = QLIKE_CAP) -> FloatArray:
    """V/F - ln(V/F) - 1 per row, at most `cap` (Patton 2011: ranks rightly under a noisy, unbiased proxy).

    Parameters
    ----------
    realised, forecast : (n,) variances > 0; NaN in either gives NaN, a forecast <= 0 an infinite loss
    cap : np.inf for the uncapped loss. A cap forgives under-forecasting of the worst days: look at both.
    """
    impossible = forecast <= 0
    ratio = realised / np.where(impossible, 1.0, forecast)
    loss = np.where(impossible, np.inf, ratio - np.log(ratio) - 1.0)
    return np.asarray(np.minimum(loss, cap))


def newey_west_variance(values: FloatArray, lags: int) -> float:
    """Variance of the mean of (n,) values without NaN, Bartlett weights (Newey & West 1987)."""
    deviations = values - values.mean()
    n = len(values)
    total = float(deviations @ deviations) / n
    for lag in range(1, min(lags, n - 1) + 1):
        weight = 1.0 - lag / (lags + 1.0)
        total += 2.0 * weight * float(deviations[lag:] @ deviations[:-lag]) / n
    return total / n


def diebold_mariano(loss: FloatArray, other: FloatArray, horizon_days: int = 1) -> tuple[float, float]:
    """Statistic and one-sided p-value of "the first forecast has the lower expected loss".

    Parameters
    ----------
    loss, other : (n,) losses of the two forecasts on the same rows, without NaN

    Notes
    -----
    Diebold & Mariano (1995) with the small-sample factor of Harvey, Leybourne & Newbold (1997); Newey-West with
    max(h - 1, 4 (n / 100)^(2/9)) lags. Identical losses: (0, 1). Fewer than 10 rows: (NaN, NaN).
    """
    difference = np.asarray(loss - other, dtype=float)
    n = len(difference)
    if n < 10:
        return math.nan, math.nan
    h = horizon_days
    variance = newey_west_variance(difference, max(h - 1, int(4 * (n / 100) ** (2 / 9))))
    if not variance > 0:
        return 0.0, 1.0
    factor = math.sqrt(max((n + 1 - 2 * h + h * (h - 1) / n) / n, 1e-9))
    statistic = factor * float(difference.mean()) / math.sqrt(variance)
    return statistic, float(stats.t.cdf(statistic, n - 1))
