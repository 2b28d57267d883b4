"""Figures of a course of daily returns. Free functions on the last axis, so a bootstrap passes its resamples at once.

Returns are simple, one a day, without NaN. A figure that cannot be said (no loss to divide by) is NaN, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PERIODS_A_YEAR = 365.0
TAIL = 0.01


def cagr(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): growth a year of 365 days; -1 where everything was lost."""
    growth = np.maximum(1.0 + returns, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.expm1(np.log(growth).mean(axis=-1) * PERIODS_A_YEAR))


def volatility(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): standard deviation (n - 1) a day times sqrt(365)."""
    return np.asarray(returns.std(axis=-1, ddof=1) * math.sqrt(PERIODS_A_YEAR))


def sharpe(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): mean over standard deviation, annualised, against a rate of zero; NaN where nothing moves."""
    return _ratio(returns.mean(axis=-1) * PERIODS_A_YEAR, volatility(returns))


def sortino(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): mean over downside deviation sqrt(mean(min(r, 0)^2)), annualised; NaN without a loss."""
    downside = np.sqrt((np.minimum(returns, 0.0) ** 2).mean(axis=-1) * PERIODS_A_YEAR)
    return _ratio(returns.mean(axis=-1) * PERIODS_A_YEAR, downside)


def drawdowns(returns: FloatArray) -> FloatArray:
    """(..., n) -> (..., n): 1 - equity over its highest so far, the start (1) included."""
    equity = np.cumprod(1.0 + returns, axis=-1)
    return np.asarray(1.0 - equity / np.maximum(np.maximum.accumulate(equity, axis=-1), 1.0))


def max_drawdown(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): largest drawdown at a daily close, 0-1."""
    return np.asarray(drawdowns(returns).max(axis=-1))


def time_under_water(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): share of days that close below an earlier high."""
    return np.asarray((drawdowns(returns) > 0).mean(axis=-1))


def longest_spell(returns: FloatArray) -> tuple[int, bool]:
    """Longest run of days under water in (n,) returns, and whether it ended; one that did not counts to the end."""
    under = np.concatenate([[0], (drawdowns(returns) > 0).astype(np.int64), [0]])
    starts, ends = np.flatnonzero(np.diff(under) == 1), np.flatnonzero(np.diff(under) == -1)
    if not len(starts):
        return 0, True
    longest = int(np.argmax(ends - starts))
    return int(ends[longest] - starts[longest]), bool(ends[longest] < len(returns))


def calmar(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): growth a year over the largest drawdown; NaN without one."""
    return _ratio(cagr(returns), max_drawdown(returns))


def var99(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): loss of a day that 1 % of days exceed; positive = loss."""
    return np.asarray(-np.quantile(returns, TAIL, axis=-1))


def es99(returns: FloatArray) -> FloatArray:
    """(..., n) -> (...): mean loss of the ceil(n / 100) worst days; positive = loss."""
    worst = math.ceil(TAIL * returns.shape[-1])
    return np.asarray(-np.partition(returns, worst - 1, axis=-1)[..., :worst].mean(axis=-1))


STATISTICS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "cagr": cagr,
    "volatility": volatility,
    "sharpe": sharpe,
    "sortino": sortino,
    "max_drawdown": max_drawdown,
    "time_under_water": time_under_water,
    "calmar": calmar,
    "var99": var99,
    "es99": es99,
}
LOWER_IS_BETTER = frozenset({"volatility", "max_drawdown", "time_under_water", "var99", "es99"})


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one course. `longest_spell_days` under water; `has_recovered` False = it was still under at the
    end. Others as the functions of their names."""

    days: int
    cagr: float
    volatility: float
    sharpe: float
    sortino: float
    max_drawdown: float
    time_under_water: float
    calmar: float
    var99: float
    es99: float
    longest_spell_days: int
    has_recovered: bool


def figures(returns: FloatArray) -> Figures:
    """Figures of (n,) daily returns.

    Raises
    ------
    ValueError
        Fewer than two returns, or one that is not finite.
    """
    if len(returns) < 2 or not np.isfinite(returns).all():
        raise ValueError(f"figures need 2 finite returns or more: got {len(returns)}")
    spell, has_recovered = longest_spell(returns)
    values = {name: float(statistic(returns)) for name, statistic in STATISTICS.items()}
    return Figures(days=len(returns), longest_spell_days=spell, has_recovered=has_recovered, **values)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0))
