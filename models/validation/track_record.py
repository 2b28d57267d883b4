"""What became of published spike probabilities: outcomes of stored forecasts, and promised beside seen frequencies.

Needs nothing but what is stored of a walk-forward, so that whoever serves it makes the same figures as whoever judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.validation.spikes import brier_skill, expected_calibration_error, reliability
from models.volatility.targets import known_threshold

FloatArray = NDArray[np.float64]
Numbers = FloatArray | Sequence[float | None]
MIN_ROWS = 100  # as for every figure
BINS = 10  # as for every calibration error of an evaluation
INDEPENDENT_A_BIN = 25  # fewer say nothing of a frequency of one in ten
LEAST_BINS = 4


@dataclass(frozen=True)
class Bin:
    """Forecasts of one range of probabilities: what they promised on average, how often a spike was seen, and the
    95 % interval of that frequency."""

    rows: int
    promised: float
    seen: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class TrackRecord:
    """`spike` (n,): 1 if the variance that followed was above the threshold known at the row, 0 if not, NaN while it is
    open or no threshold is known. Figures are None, and `bins` empty, under `MIN_ROWS` rows with an outcome."""

    spike: FloatArray
    rows: int
    spikes: int
    ece: float | None
    brier_skill: float | None
    bins: tuple[Bin, ...]


def spikes_of(realised: FloatArray, horizon_days: int, window: int) -> FloatArray:
    """Whether each forecast was followed by a spike, from the outcomes of the stored rows alone.

    Parameters
    ----------
    realised : (n,) mean variance a day that followed, one row for each day of the calendar; NaN while open
    horizon_days : days of an outcome
    window : days of outcomes that make the threshold (`Protocol.spike_window`)

    Returns
    -------
    (n,) 1, 0 or NaN. Rows that do not have a full window behind them are NaN: what was judged when they were made may
    have stood on days that are not stored.
    """
    threshold = known_threshold(realised, horizon_days, window).copy()  # pandas gives a view
    threshold[: window + horizon_days - 1] = np.nan
    known = np.isfinite(realised) & np.isfinite(threshold)
    return np.where(known, (realised > threshold).astype(float), np.nan)


def wilson_interval(count: float, of: float, level: float = 0.95) -> tuple[float, float]:
    """Interval of a frequency `count / of` (Wilson 1927); (0, 1) where `of` is 0."""
    if of <= 0:
        return 0.0, 1.0
    z = float(stats.norm.ppf(0.5 + level / 2.0))
    p, z2 = count / of, z * z / of
    middle, half = p + z2 / 2.0, z * math.sqrt(p * (1.0 - p) / of + z2 / (4.0 * of))
    return max(0.0, (middle - half) / (1.0 + z2)), min(1.0, (middle + half) / (1.0 + z2))


def track_record(realised: Numbers, probability: Numbers, horizon_days: int, window: int) -> TrackRecord:
    """Outcomes and calibration of one series' stored forecasts, oldest first.

    Parameters
    ----------
    realised, probability : (n,) outcome and spike probability of each forecast; NaN or None where there is none
    horizon_days, window : as in `spikes_of`

    Notes
    -----
    Outcomes of `horizon_days` overlap: intervals, and how many bins there are, count as if only every
    `horizon_days`-th forecast said anything new. Spikes also come in clusters, so the intervals are rather too narrow
    than too wide. The calibration error is that of an evaluation, over ten bins.
    """
    known, said = np.array(realised, dtype=np.float64), np.array(probability, dtype=np.float64)
    spike = spikes_of(known, horizon_days, window)
    judged = np.isfinite(spike) & np.isfinite(said)
    outcome, asked = spike[judged], said[judged]
    rows, spikes = len(outcome), int(outcome.sum())
    if rows < MIN_ROWS:
        return TrackRecord(spike, rows, spikes, None, None, ())
    bins = []
    shown = min(BINS, max(LEAST_BINS, rows // (horizon_days * INDEPENDENT_A_BIN)))
    for share, promised, seen in reliability(outcome, asked, shown):
        here = round(float(share) * rows)
        low, high = wilson_interval(float(seen) * here / horizon_days, here / horizon_days)
        bins.append(Bin(here, float(promised), float(seen), low, high))
    return TrackRecord(
        spike, rows, spikes, expected_calibration_error(outcome, asked, BINS), brier_skill(outcome, asked), tuple(bins)
    )
