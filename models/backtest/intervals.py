"""Intervals of figures and of their differences, by the stationary bootstrap of daily returns.

All strategies are resampled by the same blocks, so that a difference keeps what they have in common. A block is as
long as the memory of absolute returns: chosen on returns it would be some days and break the clusters of volatility.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from numpy.typing import NDArray

from models.backtest.metrics import STATISTICS
from models.contracts.score import ScoreStatus

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_DAYS = 250
SHORTEST_BLOCK = 5.0
LONGEST_SHARE = 1.0 / 8.0
LEVEL = 0.90
REPETITIONS = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its percentile interval; NaN where the figure cannot be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """`of`: strategy -> figure -> interval. `less`: the same of the figure less that of the benchmark; `es99_ratio` in
    it is the relative difference. Empty with status `insufficient_data`. `block_days`: expected length of a block."""

    status: ScoreStatus
    required: int
    received: int
    block_days: float = float("nan")
    level: float = LEVEL
    repetitions: int = REPETITIONS
    of: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    less: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)


def intervals(
    returns: Mapping[str, FloatArray],
    benchmarks: Mapping[str, str],
    rng: np.random.Generator,
    statistics: Sequence[str] = tuple(STATISTICS),
    repetitions: int = REPETITIONS,
    level: float = LEVEL,
) -> Intervals:
    """Percentile intervals of figures of several strategies on the same days.

    Parameters
    ----------
    returns : strategy -> (n,) daily returns, without NaN, all of the same days.
    benchmarks : strategy -> the one it is compared with; those without an entry are not compared.

    Raises
    ------
    ValueError
        Returns of different lengths, or not finite.

    Notes
    -----
    Politis & Romano (1994); block length of Politis & White (2004), corrected 2009, by `arch`, on absolute returns,
    the median over the strategies within [5, n / 8]. A largest drawdown depends on the order of all days: its interval
    says how it varies between histories like this one, not how well it is known.
    """
    table = np.column_stack(list(returns.values()))
    if not np.isfinite(table).all():
        raise ValueError("returns must be finite")
    n = len(table)
    if n < MIN_DAYS:
        return Intervals(ScoreStatus.INSUFFICIENT_DATA, MIN_DAYS, n)
    block = block_length(table)
    index = resamples(n, block, repetitions, rng)
    drawn = {name: {s: STATISTICS[s](column[index]) for s in statistics} for name, column in returns.items()}
    value = {name: {s: float(STATISTICS[s](column)) for s in statistics} for name, column in returns.items()}
    of = {name: {s: _interval(value[name][s], drawn[name][s], level) for s in statistics} for name in returns}
    less = {
        name: _differences(value[name], value[other], drawn[name], drawn[other], level)
        for name, other in benchmarks.items()
    }
    return Intervals(ScoreStatus.OK, MIN_DAYS, n, block, level, repetitions, of, less)


def block_length(returns: FloatArray) -> float:
    """Expected block length in days for (n, m) returns that are resampled together."""
    columns = [column for column in np.abs(returns).T if column.std() > 0]
    found = [float(optimal_block_length(column)["stationary"].iloc[0]) for column in columns]
    longest = max(SHORTEST_BLOCK, len(returns) * LONGEST_SHARE)
    return float(np.clip(np.median(found) if found else SHORTEST_BLOCK, SHORTEST_BLOCK, longest))


def resamples(n: int, block_days: float, repetitions: int, rng: np.random.Generator) -> IntArray:
    """(repetitions, n) positions of the stationary bootstrap."""
    made = StationaryBootstrap(max(1, round(block_days)), np.arange(n), seed=rng)
    return np.array([drawn[0] for drawn, _ in made.bootstrap(repetitions)], dtype=np.int64)


def _differences(
    value: Mapping[str, float],
    other: Mapping[str, float],
    drawn: Mapping[str, FloatArray],
    other_drawn: Mapping[str, FloatArray],
    level: float,
) -> dict[str, Interval]:
    out = {s: _interval(value[s] - other[s], drawn[s] - other_drawn[s], level) for s in value}
    if "es99" in value and other["es99"] > 0:
        ratio = np.divide(drawn["es99"], other_drawn["es99"]) - 1.0
        out["es99_ratio"] = _interval(value["es99"] / other["es99"] - 1.0, ratio, level)
    return out


def _interval(value: float, drawn: FloatArray, level: float) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
