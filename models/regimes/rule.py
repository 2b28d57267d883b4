"""The rule-based twin: where this week's variance stands in its own last year. No parameters are fitted.

It answers another question than the chain: relative to the last year, not to everything known. Beside each other they
show when "stressed" means the level and when it means the change.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from models.contracts.horizons import Protocol
from models.regimes.states import NO_STATE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RULE_VERSION = "rule1"
CALM_BELOW, CALM_UNTIL = 0.30, 0.45  # share of the last year below this week: entered below, left above
STRESSED_ABOVE, STRESSED_UNTIL = 0.80, 0.65
MIN_SHARE = 0.6  # of the year that must be there, as for spike thresholds


def rank_in_year(rv: FloatArray, protocol: Protocol) -> FloatArray:
    """Share (0-1) of the last year's weekly mean variances that are not above this week's, itself included.

    Parameters
    ----------
    rv : (n,) variance a day, NaN = missing

    Returns
    -------
    (n,), NaN while under 60 % of the year is there or the newest week has under 80 % of its days.
    """
    return (
        _weeks(rv, protocol)
        .rolling(protocol.spike_window, min_periods=weeks_needed(protocol))
        .rank(pct=True)
        .to_numpy()
    )


def weeks_needed(protocol: Protocol) -> int:
    """Weekly means of the last year below which there is no rank."""
    return int(MIN_SHARE * protocol.spike_window)


def weeks_there(rv: FloatArray, protocol: Protocol) -> IntArray:
    """(n,) weekly means in the last year of each day."""
    there = _weeks(rv, protocol).notna().rolling(protocol.spike_window, min_periods=1).sum()
    return there.to_numpy().astype(np.int64)


def _weeks(rv: FloatArray, protocol: Protocol) -> pd.Series[float]:
    week = protocol.har_lags[1]
    return pd.Series(rv).rolling(week, min_periods=int(0.8 * week)).mean()


@njit(cache=True, nogil=True)
def _walk(
    rank: FloatArray, calm_below: float, calm_until: float, stressed_above: float, stressed_until: float, none: int
) -> IntArray:
    labels = np.full(len(rank), none, dtype=np.int64)
    current = none
    for t in range(len(rank)):
        if not np.isnan(rank[t]):
            if (
                current == none
                or (current == 0 and rank[t] > calm_until)
                or (current == 2 and rank[t] < stressed_until)
            ):
                current = 1
            if rank[t] < calm_below:
                current = 0
            elif rank[t] > stressed_above:
                current = 2
        labels[t] = current
    return labels


def rule_labels(rank: FloatArray) -> IntArray:
    """(n,) position of the state by the rule; -1 before the first rank. A missing rank keeps the last state."""
    labels: IntArray = _walk(rank, CALM_BELOW, CALM_UNTIL, STRESSED_ABOVE, STRESSED_UNTIL, NO_STATE)
    return labels
