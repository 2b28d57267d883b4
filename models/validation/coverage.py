"""Whether exceedances of a value at risk come as often as promised, and independently of each other.

Exact only for days apart from each other: losses over overlapping windows exceed together.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

BoolArray = NDArray[np.bool_]


def kupiec(hits: BoolArray, probability: float) -> float:
    """p-value of "the rate of exceedances is `probability`" (Kupiec 1995). `hits` (n,), n > 0."""
    return float(stats.chi2.sf(_rate_statistic(len(hits), int(hits.sum()), probability), 1))


def kupiec_of_counts(days: int, exceeded: int, probability: float) -> float:
    """`kupiec` where only the counts are known; `days` > 0."""
    return float(stats.chi2.sf(_rate_statistic(days, exceeded, probability), 1))


def christoffersen(hits: BoolArray) -> float:
    """p-value of "an exceedance does not make the next one more likely" (Christoffersen 1998).

    1 when there are no exceedances or nothing else: then there is nothing to test.
    """
    return float(stats.chi2.sf(_dependence_statistic(hits), 1))


def conditional_coverage(hits: BoolArray, probability: float) -> float:
    """p-value of both at once: the rate is `probability`, and one exceedance does not make the next more likely
    (Christoffersen 1998). `hits` (n,), n > 0."""
    statistic = _rate_statistic(len(hits), int(hits.sum()), probability) + _dependence_statistic(hits)
    return float(stats.chi2.sf(statistic, 2))


def _rate_statistic(n: int, x: int, probability: float) -> float:
    return max(2.0 * (_log_likelihood(x, n - x, x / n) - _log_likelihood(x, n - x, probability)), 0.0)


def _dependence_statistic(hits: BoolArray) -> float:
    before, after = hits[:-1].astype(bool), hits[1:].astype(bool)
    counts = {(a, b): int(((before == a) & (after == b)).sum()) for a in (False, True) for b in (False, True)}
    calm, stressed = counts[False, False] + counts[False, True], counts[True, False] + counts[True, True]
    total = counts[False, True] + counts[True, True]
    overall = total / max(calm + stressed, 1)
    if overall in (0.0, 1.0):
        return 0.0
    dependent = sum(
        _log_likelihood(counts[state, True], counts[state, False], counts[state, True] / size)
        for state, size in ((False, calm), (True, stressed))
        if size
    )
    independent = _log_likelihood(total, calm + stressed - total, overall)
    return max(2.0 * (dependent - independent), 0.0)


def _log_likelihood(hits: int, misses: int, probability: float) -> float:
    value = float(special.xlogy(hits, probability) + special.xlogy(misses, 1.0 - probability))
    return value if math.isfinite(value) else -math.inf
