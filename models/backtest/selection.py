"""How much of a good figure is the search for it: deflated Sharpe ratio and probability of backtest overfitting.

Whoever tries many strategies and shows the best one shows luck as well. Both figures need all that was tried, also
what was thrown away: the number of trials is part of the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.contracts.score import ScoreStatus

FloatArray = NDArray[np.float64]

SPLITS = 16
MIN_ROWS_A_SPLIT = 10
MAX_PBO = 0.30  # above it the best of a search is not told from its luck
EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """`probability` that the true Sharpe ratio is above what the best of `trials` without any skill would have shown
    (`expected_best`); Sharpe ratios a day, not annualised."""

    sharpe: float
    expected_best: float
    probability: float
    trials: int


@dataclass(frozen=True, slots=True)
class Overfitting:
    """`pbo`: share of the splits in which the best strategy of one half is in the worse half of the other.
    `prob_loss`: share in which it then lost money. `verdict` in words; NaN and `insufficient_data` without enough."""

    status: ScoreStatus
    pbo: float
    prob_loss: float
    trials: int
    combinations: int
    required: int
    received: int
    verdict: str


def deflated_sharpe(returns: FloatArray, trial_sharpes: FloatArray) -> DeflatedSharpe:
    """Deflated Sharpe ratio of one strategy out of a search.

    Parameters
    ----------
    returns : (n,) daily returns of the strategy.
    trial_sharpes : (N,) Sharpe ratios a day (mean over standard deviation) of everything that was tried, the strategy
        itself included.

    Notes
    -----
    Bailey & Lopez de Prado (2014). `expected_best` is 0 for a single trial. A course that never moves: NaN.
    """
    n, ratio = len(returns), _daily_sharpe(returns)
    if not np.ptp(returns) > 0:
        return DeflatedSharpe(math.nan, math.nan, math.nan, len(trial_sharpes))
    spread = float(trial_sharpes.std(ddof=1)) if len(trial_sharpes) > 1 else 0.0
    best = expected_best(spread, len(trial_sharpes))
    skew, kurtosis = float(stats.skew(returns)), float(stats.kurtosis(returns, fisher=False))
    return DeflatedSharpe(ratio, best, probabilistic_sharpe(ratio, best, n, skew, kurtosis), len(trial_sharpes))


def probabilistic_sharpe(sharpe: float, benchmark: float, n: int, skew: float, kurtosis: float) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark` (Bailey & Lopez de Prado 2012). Ratios per
    observation; `kurtosis` of a normal law is 3. NaN where the variance of the estimate is not positive."""
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not variance > 0:
        return math.nan
    return float(stats.norm.cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(variance)))


def expected_best(spread: float, trials: int) -> float:
    """Expected largest of `trials` Sharpe ratios around 0 with standard deviation `spread`."""
    if trials < 2:
        return 0.0
    first, second = stats.norm.ppf([1.0 - 1.0 / trials, 1.0 - 1.0 / (trials * math.e)])
    return float(spread * ((1.0 - EULER) * first + EULER * second))


def probability_of_overfitting(returns: FloatArray, splits: int = SPLITS) -> Overfitting:
    """Combinatorially symmetric cross-validation over all trials.

    Parameters
    ----------
    returns : (n, N) daily returns of N trials; the oldest n modulo `splits` rows are left out.
    splits : even number of blocks in time; every half of them is once the sample in which the best is chosen.

    Raises
    ------
    ValueError
        An odd number of splits, or returns that are not finite.

    Notes
    -----
    Bailey, Borwein, Lopez de Prado & Zhu (2017), with the Sharpe ratio. The rank of the chosen one among N, its ties
    at their mean, over N + 1 is omega; PBO is the share of logit(omega) <= 0.
    """
    if splits < 2 or splits % 2:
        raise ValueError(f"splits must be even, not {splits}")
    if not np.isfinite(returns).all():
        raise ValueError("returns must be finite")
    n, trials = returns.shape
    required = splits * MIN_ROWS_A_SPLIT
    if n < required or trials < 2:
        why = f"{required} days and 2 trials required, {n} and {trials} received"
        return Overfitting(ScoreStatus.INSUFFICIENT_DATA, math.nan, math.nan, trials, 0, required, n, why)
    length = n // splits
    blocks = returns[n - splits * length :].reshape(splits, length, trials)
    sums, squares = blocks.sum(axis=1), (blocks**2).sum(axis=1)
    chosen = np.zeros((math.comb(splits, splits // 2), splits))
    for row, half in enumerate(combinations(range(splits), splits // 2)):
        chosen[row, list(half)] = 1.0
    rows = length * splits // 2
    inside = _sharpes(chosen @ sums, chosen @ squares, rows)
    outside_sums = (1.0 - chosen) @ sums
    outside = _sharpes(outside_sums, (1.0 - chosen) @ squares, rows)
    best = inside.argmax(axis=1)
    rank = stats.rankdata(outside, axis=1)[np.arange(len(best)), best]
    pbo = float((rank / (trials + 1.0) <= 0.5).mean())
    loss = float((outside_sums[np.arange(len(best)), best] < 0).mean())
    verdict = "the best of the search keeps its rank" if pbo <= MAX_PBO else "not distinguishable"
    return Overfitting(ScoreStatus.OK, pbo, loss, trials, len(chosen), required, n, verdict)


def _daily_sharpe(returns: FloatArray) -> float:
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation if deviation > 0 else 0.0


def _sharpes(sums: FloatArray, squares: FloatArray, rows: int) -> FloatArray:
    """Sharpe ratios from sums and sums of squares; 0 where nothing moves."""
    mean = sums / rows
    variance = np.maximum(squares / rows - mean**2, 0.0) * rows / (rows - 1)
    return np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 1e-20)
