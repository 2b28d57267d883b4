"""The score along a simulated path: a small forecast on the path's own past, on the scale of the VolatilityScore.

What it is: variance of the next day from three exponential averages of the vault's squared returns, a regression of
logarithms; the law of its errors; the probability that this variance exceeds the 90 % quantile of the last year before
the path; the score of that probability. All causal: what is said at a close rests on returns up to it.

What it is not: the champion model. That one reads other series and is not run on simulated paths. The probability is
not calibrated, the errors are those of the sample the forecast was fitted to (four coefficients), and the quantile
stays that of the present: on a path of a year the live one would follow. `noise_sd` makes it worse, `lag_steps` later,
`every_steps` rarer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR, SPIKE_QUANTILE
from models.stress.counter_rng import philox, uniform
from models.volatility.ewma import ewma
from models.volatility.har import RESIDUAL_CLIP, least_squares
from models.volatility.law import MIN_ERRORS, Law, spike_probability, volatility_score

FloatArray = NDArray[np.float64]

CENTRES_DAYS = (1.0, 5.0, 25.0)  # mean age of what an average holds (Bollerslev, Hood, Huss & Pedersen 2018, HExp)
WARM_UP_DAYS = 50
MIN_DAYS = 250
ERROR_DAYS = 730
THRESHOLD_DAYS = 365
MOST_MISSING = 0.1  # of a day's returns
NOISE = np.uint64(3)  # stream of the counter


class ScoreTerms(NamedTuple):
    """A `PathScore` as the kernel reads it; `start` (3,) are the averages at the beginning of a path."""

    decay: FloatArray
    intercept: float
    slope: FloatArray
    start: FloatArray
    steps_per_day: int
    noise_sd: float


@dataclass(frozen=True)
class PathScore:
    """A fitted forecast and the law of its errors.

    Parameters
    ----------
    terms : of ln F = intercept + sum of slope ln(average); F is the variance of the next day
    errors : ln V - ln F of past days
    log_threshold : ln of the variance whose excess is a spike
    lag_steps : steps from the close that a score rests on to the first close at which it is known, 0 = the same
    every_steps : steps between two scores
    """

    terms: ScoreTerms
    errors: Law
    log_threshold: float
    lag_steps: int = 0
    every_steps: int = 1

    def __post_init__(self) -> None:
        if self.lag_steps < 0 or self.every_steps < 1 or self.terms.noise_sd < 0:
            raise ValueError("a score comes every step or rarer, not before its close, with noise of 0 or more")

    def score(self, log_forecast: FloatArray) -> FloatArray:
        """(n,) VolatilityScore 0-100 of ln F."""
        above = [self.errors.probability_above(self.log_threshold - float(x)) for x in log_forecast]
        return volatility_score(np.array(above))

    def log_forecast_at(self, score: float) -> float:
        """ln F at which the score is `score`: the score grows with F, so the policy may compare either. Infinite for a
        score beyond the least and the largest that there are."""
        least, most = volatility_score(np.array([0.0, 1.0]))
        if not least < score < most:
            return math.inf if score >= most else -math.inf
        return self.log_threshold - self.errors.quantile(1.0 - float(spike_probability(score)))

    @cached_property
    def start_log_forecast(self) -> float:
        """ln F at the beginning of a path."""
        return float(self.terms.intercept + self.terms.slope @ np.log(np.maximum(self.terms.start, RV_FLOOR)))


def fit_path_score(
    returns: FloatArray, steps_per_day: int, *, noise_sd: float = 0.0, lag_steps: int = 0, every_steps: int = 1
) -> PathScore:
    """Fit to the past of a vault at its base weights.

    Parameters
    ----------
    returns : (n,) log returns a step of the base weights, oldest first; NaN = missing: averages stay as they are
    steps_per_day : 24 for hours, 1 for days
    noise_sd : standard deviation of what is added to ln F, drawn anew for each path and day
    lag_steps, every_steps : see `PathScore`

    Raises
    ------
    ValueError
        Fewer than 250 days whose next day is known, after 50 of warming up.

    Notes
    -----
    Days are counted back from the last row and do not overlap. A day with more than a tenth of its returns missing is
    no outcome. Errors of the last two years, threshold of the last one, both as the live law has them.
    """
    if steps_per_day < 1:
        raise ValueError(f"a day has a step or more, not {steps_per_day}")
    rate = returns**2 * steps_per_day
    decay = np.array([c * steps_per_day / (1.0 + c * steps_per_day) for c in CENTRES_DAYS])
    averages = np.column_stack([ewma(rate, d) for d in decay])
    origins = np.arange(len(returns) - 1, -1, -steps_per_day)[::-1]
    outcome = np.array([_variance(rate[t + 1 : t + 1 + steps_per_day], steps_per_day) for t in origins])
    design, target = np.log(np.maximum(averages[origins], RV_FLOOR)), np.log(np.maximum(outcome, RV_FLOOR))
    usable = np.isfinite(target) & np.isfinite(design).all(axis=1) & (np.arange(len(origins)) >= WARM_UP_DAYS)
    if usable.sum() < MIN_DAYS:
        raise ValueError(f"a score on paths needs {MIN_DAYS} days with a day after them, got {int(usable.sum())}")
    intercept, slope, _ = least_squares(design[usable], target[usable])
    errors = target[usable] - intercept - design[usable] @ slope
    smear = math.log(float(np.exp(np.clip(errors, -RESIDUAL_CLIP, RESIDUAL_CLIP)).mean()))
    errors = errors[-ERROR_DAYS:] - smear
    assert len(errors) >= MIN_ERRORS
    threshold = float(np.quantile(outcome[np.isfinite(outcome)][-THRESHOLD_DAYS:], SPIKE_QUANTILE))
    terms = ScoreTerms(decay, intercept + smear, slope, averages[-1], steps_per_day, noise_sd)
    law = Law(tuple(errors.tolist()))
    return PathScore(terms, law, math.log(max(threshold, RV_FLOOR)), lag_steps, every_steps)


def _variance(rate: FloatArray, steps: int) -> float:
    there = rate[np.isfinite(rate)]
    return float(there.mean()) if len(there) >= (1.0 - MOST_MISSING) * steps else math.nan


@njit(cache=True, nogil=True)
def fill_log_forecast(terms: ScoreTerms, returns: FloatArray, key: np.uint64, path: int, out: FloatArray) -> None:
    """ln F at each close of a path into (steps + 1,) `out`, the close before the first step included.

    Parameters
    ----------
    returns : (steps,) log returns of the vault at base weights
    key, path : of the noise
    """
    averages = terms.start.copy()
    noise = 0.0
    for t in range(len(out)):
        if t > 0:
            rate = returns[t - 1] ** 2 * terms.steps_per_day
            for i in range(len(averages)):
                averages[i] = terms.decay[i] * averages[i] + (1.0 - terms.decay[i]) * rate
        value = terms.intercept
        for i in range(len(averages)):
            value += terms.slope[i] * math.log(max(averages[i], RV_FLOOR))
        if terms.noise_sd > 0.0 and t % terms.steps_per_day == 0:
            a, b, c, d = philox(key, np.uint64(t // terms.steps_per_day), NOISE, np.uint64(path))
            radius = math.sqrt(-2.0 * math.log1p(-uniform(a, b)))
            noise = terms.noise_sd * radius * math.cos(2.0 * math.pi * uniform(c, d))
        out[t] = value + noise


@njit(cache=True, nogil=True)
def fill_known(lag: int, every: int, stale: NDArray[np.bool_], out: NDArray[np.int64]) -> None:
    """The close whose score is the newest one known at each close of a path, into (steps + 1,) `out`.

    Parameters
    ----------
    stale : (steps,) no score is made at the close of the step. The scores before the path were made: numbers below 0.
    """
    newest = -lag - (-lag) % every
    for t in range(len(out)):
        made = t - lag
        if made % every == 0 and (made <= 0 or not stale[made - 1]):
            newest = made
        out[t] = newest
