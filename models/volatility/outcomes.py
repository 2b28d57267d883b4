"""What a series turned out to be at each origin, and the probability laws that rest on it.

Shared by the walk-forward and by the bundle that is served, so that both speak of the same target and threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from models.contracts.horizons import RV_FLOOR, Protocol
from models.contracts.market import SeriesKind
from models.risk.var import ADAPTIVE_STEP
from models.timeseries.realised import UNCHANGED_WINDOW
from models.volatility.calibration import calibrated_path
from models.volatility.law import spike_path
from models.volatility.panel import Grid
from models.volatility.targets import forward_mean, known_threshold, refit_points

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MANAGED_SHARE = 0.20
PROBABILITY_CLIP = 1e-4  # an empirical law of 700 errors knows no rarer event


@dataclass(frozen=True)
class Outcomes:
    """All (n,): `target` V, `threshold` known at the row, `spike` 1 if V > threshold (NaN while open), `ret_next` the
    return of the next day, `managed` whether the measured variance stood still too often to be scored."""

    horizon_days: int
    target: FloatArray
    threshold: FloatArray
    spike: FloatArray
    ret_next: FloatArray
    managed: BoolArray


def outcomes_of(grid: Grid, kind: SeriesKind, protocol: Protocol, horizon_days: int) -> Outcomes:
    target = forward_mean(grid.rv, horizon_days)
    threshold = known_threshold(target, horizon_days, protocol.spike_window)
    known = np.isfinite(target) & np.isfinite(threshold)
    spike = np.where(known, (target > threshold).astype(float), np.nan)
    return Outcomes(horizon_days, target, threshold, spike, np.append(grid.ret[1:], np.nan), managed(grid, kind))


def managed(grid: Grid, kind: SeriesKind) -> BoolArray:
    """(n,) whether a rate stood still on over 20 % of the last 22 observations: its closes, or a range's whole days."""
    if kind not in (SeriesKind.RANGES, SeriesKind.FIXINGS):
        return np.zeros(len(grid), dtype=bool)
    with np.errstate(invalid="ignore"):
        unchanged = np.asarray(grid.columns["unchanged_share"] > MANAGED_SHARE)
    if kind is SeriesKind.FIXINGS:
        return unchanged
    flat = np.concatenate([np.zeros(UNCHANGED_WINDOW - 1), (grid.rv <= RV_FLOOR).astype(float)])
    share = np.lib.stride_tricks.sliding_window_view(flat, UNCHANGED_WINDOW).mean(axis=1)
    return np.asarray(unchanged | (share > MANAGED_SHARE))


def spike_probabilities(
    outcomes: Outcomes, forecast: FloatArray, protocol: Protocol, direct: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """(n,) probability by the law of the member's own errors, mixed with a `direct` one where there is any, and the
    same calibrated on known outcomes."""
    law = spike_path(outcomes.target, forecast, outcomes.threshold, outcomes.horizon_days, protocol.spike_window)
    raw = law if direct is None else mixed(law, direct)
    refits = refit_points(len(forecast), protocol)
    return raw, calibrated_path(raw, outcomes.spike, outcomes.horizon_days, refits)


def mixed(law: FloatArray, direct: FloatArray) -> FloatArray:
    """Mean of the log-odds of two probabilities (n,); where there is no direct one, the law alone."""
    a, b = (special.logit(np.clip(p, PROBABILITY_CLIP, 1.0 - PROBABILITY_CLIP)) for p in (law, direct))
    return np.asarray(np.where(np.isfinite(b), special.expit((a + b) / 2.0), law))


def adaptive_step(kind: SeriesKind) -> float:
    """Currencies turn from calm to crisis for months: there the tail level follows its own hits."""
    return ADAPTIVE_STEP if kind in (SeriesKind.RANGES, SeriesKind.FIXINGS) else 0.0
