"""The predictive law: ln V = ln F + e, with e from the member's own known errors of the last two years.

Spike probability and intervals come from this one law, so they cannot contradict each other. Here as well the
VolatilityScore, which is a scale for the calibrated probability. Calibration itself is in `calibration.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import optimize, special

from models.contracts.horizons import EMBARGO_DAYS, SPIKE_BASE_RATE

FloatArray = NDArray[np.float64]

MIN_ERRORS = 150
ERROR_YEARS = 2  # in units of the spike window, which is one year of the series' own calendar
SMOOTHING = 0.25  # bandwidth in standard deviations times n^(-1/5): a smoothed empirical distribution
PROBABILITY_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Law:
    """Empirical law of ln(V / F). `errors`: known log errors, unordered; at least `MIN_ERRORS` to be usable."""

    errors: tuple[float, ...]

    @property
    def is_usable(self) -> bool:
        return len(self.errors) >= MIN_ERRORS

    def probability_above(self, log_ratio: float) -> float:
        """P(ln(V / F) > log_ratio)."""
        errors = np.array(self.errors)
        return float(special.ndtr((errors - log_ratio) / _bandwidth(errors)).mean())

    def quantile(self, probability: float) -> float:
        """Value of ln(V / F) that is exceeded with 1 - `probability`."""
        errors = np.array(self.errors)
        width = 10.0 * _bandwidth(errors)
        low, high = float(errors.min() - width), float(errors.max() + width)
        return float(optimize.brentq(lambda x: 1.0 - self.probability_above(x) - probability, low, high))


def _bandwidth(errors: FloatArray) -> float:
    return float(SMOOTHING * errors.std() * len(errors) ** -0.2 + PROBABILITY_FLOOR)


def known_errors(target: FloatArray, forecast: FloatArray, rows: int, horizon_days: int, window: int) -> FloatArray:
    """Finite log errors of the last two years whose outcome, plus embargo, is known after `rows` rows."""
    stop = max(0, rows - horizon_days - EMBARGO_DAYS)
    start = max(0, stop - ERROR_YEARS * window)
    errors = np.log(target[start:stop] / forecast[start:stop])
    return np.asarray(errors[np.isfinite(errors)])


@njit(cache=True, nogil=True)
def _spike_path(
    errors: FloatArray, log_ratio: FloatArray, lag: int, span: int, least: int, smoothing: float, floor: float
) -> FloatArray:
    out = np.full(len(errors), np.nan)
    for t in range(len(errors)):
        if not np.isfinite(log_ratio[t]):
            continue
        stop = max(0, t + 1 - lag)
        n, total, squares = 0, 0.0, 0.0
        for s in range(max(0, stop - span), stop):
            if np.isfinite(errors[s]):
                n += 1
                total += errors[s]
        if n < least:
            continue
        mean = total / n
        for s in range(max(0, stop - span), stop):
            if np.isfinite(errors[s]):
                squares += (errors[s] - mean) ** 2
        width = (smoothing * math.sqrt(squares / n) * n ** (-0.2) + floor) * math.sqrt(2.0)
        above = 0.0
        for s in range(max(0, stop - span), stop):
            if np.isfinite(errors[s]):
                x = (log_ratio[t] - errors[s]) / width
                above += 0.5 * math.erfc(x) if abs(x) < 6.0 else (1.0 if x < 0 else 0.0)
        out[t] = above / n
    return out


def spike_path(
    target: FloatArray, forecast: FloatArray, threshold: FloatArray, horizon_days: int, window: int
) -> FloatArray:
    """P(V > threshold) at every row from the errors known at it; all (n,), NaN below 150 known errors.

    `window`: one year in rows; the law looks back two.
    """
    errors = np.log(target / forecast)
    ratio = np.log(threshold / forecast)
    lag = horizon_days + EMBARGO_DAYS
    path: FloatArray = _spike_path(errors, ratio, lag, ERROR_YEARS * window, MIN_ERRORS, SMOOTHING, PROBABILITY_FLOOR)
    return path


def volatility_score(probability: FloatArray | float, base: float = SPIKE_BASE_RATE) -> FloatArray:
    """Score 0-100 of a spike probability: 50 = the usual risk (p = base), 80 = four times its odds, 90 = nine.

    Strictly increasing; NaN stays NaN.
    """
    p = np.clip(np.asarray(probability, dtype=float), PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    odds = p / (1.0 - p) * (1.0 - base) / base
    return np.asarray(100.0 * odds / (1.0 + odds))


def spike_probability(score: FloatArray | float, base: float = SPIKE_BASE_RATE) -> FloatArray:
    """Inverse of `volatility_score`."""
    s = np.asarray(score, dtype=float) / 100.0
    return np.asarray(s * base / (s * base + (1.0 - s) * (1.0 - base)))
