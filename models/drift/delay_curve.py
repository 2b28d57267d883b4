"""How late a volatility drift is noticed, against how often a quiet stream cries: the curve behind every threshold.

Drifts are planted in data that the detector has not seen: from a random hour on all returns are multiplied. Volume
and the other streams stay as they were. Everything is computed anew from the changed returns, so the detector sees
what it would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from models.drift.thresholds import DAYS_A_QUARTER, episodes
from models.drift.volatility import (
    HISTORY_H,
    REARM_H,
    HourlyStream,
    VolatilityDetector,
    fit,
    recalibrated,
    statistic,
)

WATCHED_H = 30 * 24  # a drift that was not found by then counts as found then: the sixty days have taken it in
FACTORS = (1.5, 2.0, 3.0)
RATES = (0.25, 0.5, 1.0, 3.0)  # false alarms a quarter; an alarm stands for two weeks, so six are the most there can be


def delay_curve(
    stream: HourlyStream,
    split: int,
    rng: np.random.Generator,
    *,
    explained: bool,
    rates: Sequence[float] = RATES,
    factors: Sequence[float] = FACTORS,
    plants: int = 200,
) -> pd.DataFrame:
    """Fit on the rows before `split`, plant in those after it.

    Returns
    -------
    One row per stated rate and factor: `per_quarter` (stated), `threshold`, `false_alarms` (seen a quarter in the
    rows after `split`), `quarters` (how many those are), `factor`, `median_h`, `p90_h` (720 = not found within thirty
    days), `within_24h`, `within_120h` (shares). Raises NotEnoughHistory as `fit` does, and ValueError if fewer than
    60 days to look back on and 30 to watch lie after the split.
    """
    n = len(stream.returns)
    if n - split <= WATCHED_H or split < HISTORY_H:
        raise ValueError(f"{n - split} hours after the split leave no room for {WATCHED_H} to watch")
    history = stream.rows(0, split)
    detector = fit(history, rates[0], rng, explained=explained)
    detectors = [detector, *(recalibrated(detector, history, rate, rng) for rate in rates[1:])]
    quiet = statistic(detector, stream)[split:]
    quarters = len(quiet) / 24 / DAYS_A_QUARTER
    moments = rng.integers(split, n - WATCHED_H, plants)
    found = {factor: planted(detector, stream, moments.tolist(), factor) for factor in factors}
    rows = []
    for one in detectors:
        limit = one.threshold
        for factor in factors:
            delays = first_above(found[factor], limit.value)
            rows.append(
                {
                    "per_quarter": limit.per_quarter, "threshold": limit.value,
                    "false_alarms": len(episodes(quiet, limit.value, REARM_H)) / quarters, "quarters": quarters,
                    "factor": factor, "median_h": float(np.median(delays)), "p90_h": float(np.quantile(delays, 0.9)),
                    "within_24h": float((delays <= 24).mean()), "within_120h": float((delays <= 120).mean()),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def planted(
    detector: VolatilityDetector, stream: HourlyStream, moments: Sequence[int], factor: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(moments, 720) statistic at each hour after a drift that starts with the return at that row."""
    paths = []
    for moment in moments:
        window = stream.rows(moment - HISTORY_H, moment + WATCHED_H)
        paths.append(statistic(detector, window.scaled(factor, HISTORY_H))[HISTORY_H:])
    return np.stack(paths)


def first_above(
    paths: np.ndarray[tuple[int, int], np.dtype[np.float64]], threshold: float
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Hours (moments,) from the start to the first exceedance, counting the first hour as 1; 720 where there is none.

    An alarm that stood already when the drift began counts as none of it: exceedance is looked for afterwards only.
    """
    with np.errstate(invalid="ignore"):
        above = paths > threshold
    return np.where(above.any(axis=1), above.argmax(axis=1) + 1, paths.shape[1])
