"""Online changepoints of ln variance: how likely its level changed within the last days, and how long it has stood.

Bayesian online changepoint detection (Adams & MacKay 2007): a posterior over the day on which the present segment
began, each segment normal with unknown level and spread (a Student-t predictive). Filtered: day t rests on days up to
t. With a constant hazard the probability that a change falls exactly on today's border is the hazard itself whatever
the data say, so what is published is the probability that the segment is at most a week old.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SEGMENT_DAYS = 90.0  # prior mean of a segment
PRIOR_OBSERVATIONS = 90  # the first ones give the prior its level and spread; there is no number before
LEVEL_WEIGHT = 0.1  # prior level, in days: a new segment may begin about three spreads away
SPREAD_SHAPE = 3.0  # prior spread, in pairs of days
NEGLIGIBLE = 1e-7  # a beginning less likely than this is given up


@dataclass(frozen=True, slots=True)
class Changepoints:
    """`recent` (n,): probability that the present segment is at most `week` days old (0-1). `age` (n,): its expected
    age in days, today included. NaN before `PRIOR_OBSERVATIONS` values."""

    recent: FloatArray
    age: FloatArray


@njit(cache=True, nogil=True)
def segment_ages(
    x: FloatArray, hazard: float, level: float, level_weight: float, shape: float, rate: float, negligible: float,
    week: int,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Probability that the segment is at most `week` days old, and its expected age, after each day.

    Parameters
    ----------
    x : (n,), NaN = missing: time passes, a segment may end unseen, nothing is learned
    hazard : chance that a segment begins on a given day, 0-1
    level, level_weight, shape, rate : normal-inverse-gamma prior of a segment (mu, kappa, alpha, beta)
    negligible : beginnings with less probability are dropped, the rest is rescaled

    Returns
    -------
    recent, age
        (n,) each; row t depends on x[: t + 1] alone.
    """
    n = len(x)
    recent, age = np.empty(n), np.empty(n)
    begin, count = np.empty(n + 1, dtype=np.int64), np.empty(n + 1, dtype=np.int64)
    p, mu, beta = np.empty(n + 1), np.empty(n + 1), np.empty(n + 1)
    # Only the count of observations enters the normalising constant: one table for all segments.
    constant = np.empty(n + 1)
    for c in range(n + 1):
        a = shape + 0.5 * c
        constant[c] = math.lgamma(a + 0.5) - math.lgamma(a) - 0.5 * math.log(2.0 * math.pi)
    live = 0
    for t in range(n):
        for k in range(live):
            p[k] *= 1.0 - hazard
        begin[live], count[live], mu[live], beta[live] = t, 0, level, rate
        p[live] = 1.0 if live == 0 else hazard
        live += 1
        if not np.isnan(x[t]):
            largest = -np.inf
            for k in range(live):
                kappa, alpha = level_weight + count[k], shape + 0.5 * count[k]
                shrink = kappa / (kappa + 1.0)
                half = 0.5 * shrink * (x[t] - mu[k]) ** 2
                log_density = constant[count[k]] + 0.5 * math.log(shrink / beta[k])
                log_density -= (alpha + 0.5) * math.log1p(half / beta[k])
                p[k] = math.log(p[k]) + log_density
                largest = max(largest, p[k])
                mu[k] += (x[t] - mu[k]) / (kappa + 1.0)
                beta[k] += half
                count[k] += 1
            for k in range(live):
                p[k] = math.exp(p[k] - largest)
        total = p[:live].sum()
        kept, mass = 0, 0.0
        for k in range(live):
            if p[k] / total >= negligible:
                begin[kept], count[kept], mu[kept], beta[kept] = begin[k], count[k], mu[k], beta[k]
                p[kept] = p[k]
                mass += p[k]
                kept += 1
        live = kept
        recent[t], age[t] = 0.0, 0.0
        for k in range(live):
            p[k] /= mass
            days = t - begin[k] + 1
            age[t] += p[k] * days
            if days <= week:
                recent[t] += p[k]
        recent[t] = min(recent[t], 1.0)  # the parts sum to 1 up to rounding
    return recent, age


def changepoints(log_variance: FloatArray, week: int = 7) -> Changepoints:
    """Changepoints of (n,) ln variances a day, NaN = missing.

    Raises
    ------
    ValueError
        `week` is under 1.
    """
    if week < 1:
        raise ValueError(f"a segment is at least one day old: week = {week} asks for nothing")
    n = len(log_variance)
    silent = Changepoints(np.full(n, np.nan), np.full(n, np.nan))
    known = np.flatnonzero(np.isfinite(log_variance))
    if len(known) < PRIOR_OBSERVATIONS:
        return silent
    first = log_variance[known[:PRIOR_OBSERVATIONS]]
    # Half the mean squared step from day to day: the spread around a level that may itself have moved.
    within = max(float((np.diff(first) ** 2).mean()) / 2.0, 1e-4)
    recent, age = segment_ages(
        log_variance, 1.0 / SEGMENT_DAYS, float(first.mean()), LEVEL_WEIGHT, SPREAD_SHAPE,
        (SPREAD_SHAPE - 1.0) * within, NEGLIGIBLE, week,
    )  # fmt: skip
    unborn = slice(0, int(known[PRIOR_OBSERVATIONS - 1]))
    recent[unborn] = age[unborn] = np.nan
    return Changepoints(recent, age)
