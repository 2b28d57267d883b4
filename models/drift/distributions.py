"""Data drift: whether features of the last weeks are still drawn from what they were drawn from before.

Population stability index and Kolmogorov-Smirnov distance of each feature, once a week, on the last 28 daily rows
against the year before them. How large is large is asked of the series' own past: features cluster, and the index of
0.2 that is repeated everywhere is exceeded every month by quiet data. Many features are watched as one: the alarm is
raised by the largest of their standardised distances, so the stated false-alarm rate is that of all of them together.

The same serves for issued scores and probabilities (prediction drift): they are columns too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.drift.alarms import NotEnoughHistory
from models.drift.thresholds import DAYS_A_QUARTER, Threshold, calibrate, episodes

FloatArray = NDArray[np.float64]

RECENT_ROWS = 28
REFERENCE_ROWS = 365
STEP_ROWS = 7
BINS = 5  # of equal share: 28 rows fill five, ten would be noise
REARM_WEEKS = 4  # the weeks in which the same rows are looked at again
MEAN_BLOCK_WEEKS = 8.0
MIN_WEEKS = 26
MIN_KNOWN = 0.75  # of the rows of a window
_EMPTY_BIN = 0.5  # rows: an empty bin would be infinitely surprising


@dataclass(frozen=True, slots=True)
class DistributionAlarm:
    """Row of the newest observation, the largest standardised distance, and each feature's own figures there."""

    row: int
    statistic: float
    worst: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class DistributionWatch:
    """`rows` (weeks,) positions of the newest rows looked at; `distances` by name `<feature>:psi` / `<feature>:ks`
    (weeks,); `statistic` (weeks,) the largest standardised one; `threshold` of its own history."""

    rows: NDArray[np.int64]
    distances: pd.DataFrame
    statistic: FloatArray
    threshold: Threshold

    def alarms(self) -> list[DistributionAlarm]:
        """First week of each episode."""
        found = []
        for week in episodes(self.statistic, self.threshold.value, REARM_WEEKS).tolist():
            standard = _standardised(self.distances).iloc[week]
            figures = {str(name): float(value) for name, value in self.distances.iloc[week].dropna().items()}
            found.append(
                DistributionAlarm(int(self.rows[week]), float(self.statistic[week]), str(standard.idxmax()), figures)
            )
        return found


def watch_distributions(
    features: pd.DataFrame, names: Sequence[str], per_quarter: float, rng: np.random.Generator, *, daily: float = 1.0
) -> DistributionWatch:
    """Weekly distances over the whole history of one series, and which of them are too large.

    Parameters
    ----------
    features : rows in time order; NaN = missing. A feature that is known in under half of the rows is left out
    per_quarter : false alarms of all features together
    daily : rows a calendar day (1 for coins, 5/7 for rates)

    Raises
    ------
    NotEnoughHistory
        Under 26 weeks after the first year, or no feature that is known often enough.
    """
    used = [name for name in names if name in features and features[name].notna().mean() >= 0.5]
    if not used:
        raise NotEnoughHistory(f"none of the features {', '.join(names)} is known in half of the rows")
    last = len(features) - 1
    first = RECENT_ROWS + REFERENCE_ROWS - 1
    weeks = np.arange(last, first - 1, -STEP_ROWS)[::-1]
    if len(weeks) < MIN_WEEKS:
        raise NotEnoughHistory(f"{len(weeks)} weeks after the first year are there, {MIN_WEEKS} are needed")
    columns: dict[str, FloatArray] = {}
    for name in used:
        values = features[name].to_numpy(dtype=float)
        pairs = [_distances(values, int(week)) for week in weeks]
        columns[f"{name}:psi"] = np.array([pair[0] for pair in pairs])
        columns[f"{name}:ks"] = np.array([pair[1] for pair in pairs])
    distances = pd.DataFrame(columns)
    statistic = _standardised(distances).max(axis=1, skipna=True).to_numpy(dtype=float)
    rows_a_quarter = DAYS_A_QUARTER * daily / STEP_ROWS
    threshold = calibrate(statistic, rows_a_quarter, per_quarter, REARM_WEEKS, MEAN_BLOCK_WEEKS, rng)
    return DistributionWatch(weeks, distances, statistic, threshold)


def stability_index(recent: FloatArray, reference: FloatArray, bins: int = BINS) -> float:
    """Sum over reference quantile bins of (p - q) ln(p / q): 0 for the same shares. Without NaN; ties share a bin.

    An empty bin counts as half a row.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    shares = []
    for values in (recent, reference):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).astype(float)
        shares.append(np.maximum(counts, _EMPTY_BIN) / len(values))
    p, q = shares
    return float(((p - q) * np.log(p / q)).sum())


def kolmogorov_distance(recent: FloatArray, reference: FloatArray) -> float:
    """Largest distance of the two empirical distribution functions (two-sample Kolmogorov-Smirnov). Without NaN."""
    both = np.concatenate([recent, reference])
    a = np.searchsorted(np.sort(recent), both, side="right") / len(recent)
    b = np.searchsorted(np.sort(reference), both, side="right") / len(reference)
    return float(np.abs(a - b).max())


def _distances(values: FloatArray, last: int) -> tuple[float, float]:
    middle = last + 1 - RECENT_ROWS
    recent, reference = values[middle : last + 1], values[middle - REFERENCE_ROWS : middle]
    recent, reference = recent[np.isfinite(recent)], reference[np.isfinite(reference)]
    if len(recent) < MIN_KNOWN * RECENT_ROWS or len(reference) < MIN_KNOWN * REFERENCE_ROWS:
        return np.nan, np.nan
    return stability_index(recent, reference), kolmogorov_distance(recent, reference)


def _standardised(distances: pd.DataFrame) -> pd.DataFrame:
    """Each distance against its own usual height: (x - median) / (90 % quantile - median) of its history."""
    median, high = distances.median(), distances.quantile(0.9)
    return (distances - median) / (high - median).where(high > median)
