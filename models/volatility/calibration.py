"""Calibration of spike probabilities on outcomes that are known, and on nothing else.

A logistic map of the log-odds (Platt 1999), pulled towards the identity: a year holds about 36 spikes, too few for an
isotonic fit, and the map must stay strictly increasing so that a score can be read back. Targets of h days overlap, so
their outcomes say as much as one in h of them: the pull grows with h.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS
from models.volatility.targets import spans

FloatArray = NDArray[np.float64]

OUTCOMES = 365
MIN_OUTCOMES = 150
PULL = 100.0  # prior weight of the identity a day of horizon; on the level as much as 100 / 0.09 = 1,100 outcomes
SLOPE_RANGE = (0.25, 4.0)
CLIP = 1e-4


@dataclass(frozen=True, slots=True)
class Calibration:
    """p -> expit(shift + slope * logit(p)); `outcomes`: how many it rests on (0: the identity)."""

    shift: float = 0.0
    slope: float = 1.0
    outcomes: int = 0

    def __call__(self, probability: FloatArray | float) -> FloatArray:
        p = np.clip(np.asarray(probability, dtype=float), CLIP, 1.0 - CLIP)
        return np.asarray(1.0 / (1.0 + np.exp(-self.shift - self.slope * np.log(p / (1.0 - p)))))


def fit_calibration(probability: FloatArray, outcome: FloatArray, horizon_days: int) -> Calibration:
    """Map fitted to (n,) probabilities and 0/1 outcomes; NaN rows are left out; under 150 the identity."""
    pull = PULL * horizon_days
    usable = np.isfinite(probability) & np.isfinite(outcome)
    n = int(usable.sum())
    if n < MIN_OUTCOMES:
        return Calibration()
    p = np.clip(probability[usable], CLIP, 1.0 - CLIP)
    log_odds = np.log(p / (1.0 - p))
    shift, slope = _newton(log_odds, outcome[usable], pull, False)
    bounded = min(max(slope, SLOPE_RANGE[0]), SLOPE_RANGE[1])
    if bounded != slope:  # the level belongs to the slope it was fitted with
        shift, _ = _newton(bounded * log_odds, outcome[usable], pull, True)
    return Calibration(shift, bounded, n)


def last_known(
    probability: FloatArray, outcome: FloatArray, rows: int, horizon_days: int
) -> tuple[FloatArray, FloatArray]:
    """The last 365 pairs whose outcome, plus embargo, is known after `rows` rows."""
    stop = max(0, rows - horizon_days - EMBARGO_DAYS)
    known = slice(max(0, stop - OUTCOMES), stop)
    return probability[known], outcome[known]


def calibrated_path(
    probability: FloatArray, outcome: FloatArray, horizon_days: int, refits: Sequence[int]
) -> FloatArray:
    """(n,) probabilities, each through the map fitted at the refit point before it; before the first: NaN."""
    out = np.full(len(probability), np.nan)
    for start, stop in spans(refits, len(probability)):
        fitted = fit_calibration(*last_known(probability, outcome, start + 1, horizon_days), horizon_days)
        out[start:stop] = fitted(probability[start:stop])
    return out


@njit(cache=True, nogil=True)
def _newton(log_odds: FloatArray, outcome: FloatArray, pull: float, level_only: bool) -> tuple[float, float]:
    """Shift and slope; with `level_only` the slope stays 1."""
    shift, slope = 0.0, 1.0
    for _ in range(25):
        g0, g1 = pull * shift, pull * (slope - 1.0)
        h00, h01, h11 = pull, 0.0, pull
        for i in range(len(outcome)):
            x = log_odds[i]
            p = 1.0 / (1.0 + math.exp(-shift - slope * x))
            w = p * (1.0 - p)
            g0 += p - outcome[i]
            g1 += (p - outcome[i]) * x
            h00 += w
            h01 += w * x
            h11 += w * x * x
        if level_only:
            g1, h01 = 0.0, 0.0
        determinant = h00 * h11 - h01 * h01
        d0 = (h11 * g0 - h01 * g1) / determinant
        d1 = (h00 * g1 - h01 * g0) / determinant
        shift -= d0
        slope -= d1
        if abs(d0) + abs(d1) < 1e-10:
            break
    return shift, slope
