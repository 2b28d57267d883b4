"""Figures of many simulated paths, each with its Monte-Carlo error; differences on the same paths.

Losses are positive. A figure that cannot be said is None with a reason, never NaN. What is measured of one path is in
`course_figures.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from models.stress import course_figures as columns

FloatArray = NDArray[np.float64]

BATCHES = 20
T_BATCHES = float(special.stdtrit(BATCHES - 1, 0.975))
Z = float(special.ndtri(0.975))


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` and its standard error over the drawing of paths; `low` to `high` holds the true value with 95 %. None
    where it cannot be said; `reason` says why, None where nothing is lacking."""

    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Figure:
    """`of` (..., n, columns) -> (...). `least`: paths without which it means nothing."""

    of: Callable[[FloatArray], FloatArray]
    least: int
    is_probability: bool = False


def value_at_risk(returns: FloatArray, percent: int) -> FloatArray:
    """(..., n) -> (...): loss that `percent` % of the returns reach, the ceil(percent n / 100)-th worst one."""
    worst = _count(returns.shape[-1], percent)
    return np.asarray(-np.partition(returns, worst - 1, axis=-1)[..., worst - 1])


def expected_shortfall(returns: FloatArray, percent: int) -> FloatArray:
    """(..., n) -> (...): mean loss of the ceil(percent n / 100) worst returns; never below the value at risk."""
    worst = _count(returns.shape[-1], percent)
    return np.asarray(-np.partition(returns, worst - 1, axis=-1)[..., :worst].mean(axis=-1))


def upper_percentile(values: FloatArray, percent: int) -> FloatArray:
    """(..., n) -> (...): the ceil(percent n / 100)-th smallest value."""
    rank = _count(values.shape[-1], percent)
    return np.asarray(np.partition(values, rank - 1, axis=-1)[..., rank - 1])


def wilson(hits: float, trials: int) -> tuple[float, float]:
    """95 % interval of a probability (Wilson 1927). `hits` may be a sum of probabilities: the interval is then rather
    too wide, since a mean of probabilities varies less than one of events."""
    share, z2 = hits / trials, Z * Z / trials
    centre = (share + z2 / 2.0) / (1.0 + z2)
    half = Z * math.sqrt(share * (1.0 - share) / trials + z2 / (4.0 * trials)) / (1.0 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def paired(gains: float, losses: float, trials: int) -> tuple[float, float]:
    """95 % interval of the difference of two probabilities on the same trials: Wilson's intervals of both kinds of
    disagreement, put together by square and add (Zou and Donner, Statistics in Medicine 27, 2008).

    Parameters
    ----------
    gains, losses : trials with the one event alone, and with the other alone; both may be sums of differences of
        probabilities, as in `wilson`
    """
    (gains_low, gains_high), (losses_low, losses_high) = wilson(gains, trials), wilson(losses, trials)
    more, less = gains / trials, losses / trials
    low = more - less - math.hypot(more - gains_low, losses_high - less)
    high = more - less + math.hypot(gains_high - more, less - losses_low)
    return max(-1.0, low), min(1.0, high)


def estimates(table: FloatArray, ruin_loss: float) -> dict[str, Estimate]:
    """Figures of (paths, columns) `table` of `vault_kernels.run_paths`.

    Parameters
    ----------
    ruin_loss : share of the start whose loss at any close is ruin

    Notes
    -----
    Standard errors are those of batch means over 20 batches of neighbouring paths (up to 19 last paths stay out of
    them), intervals those of Student's t with 19 degrees; for probabilities both are Wilson's. A batch must hold the
    least number of paths that the figure needs: 100 for a 99th percentile.
    """
    return {name: _estimate(figure, table) for name, figure in _figures(ruin_loss).items()}


def differences(table: FloatArray, other: FloatArray, ruin_loss: float) -> dict[str, Estimate]:
    """Figures of `table` less those of `other`, of the same paths (common random numbers): batch by batch, so that what
    both have in common does not count as error. Those of probabilities have the interval of `paired`: it is never
    nothing, also where no path is hit in one of them alone.

    Raises
    ------
    ValueError
        The tables do not hold the same number of paths.
    """
    if table.shape != other.shape:
        raise ValueError(f"differences need the same paths: {table.shape} and {other.shape}")
    return {name: _difference(figure, table, other) for name, figure in _figures(ruin_loss).items()}


def _figures(ruin_loss: float) -> dict[str, _Figure]:
    def mean(column: int) -> Callable[[FloatArray], FloatArray]:
        return lambda table: np.asarray(table[..., column].mean(axis=-1))

    def tail(of: Callable[[FloatArray, int], FloatArray], percent: int) -> _Figure:
        return _Figure(lambda table: of(table[..., columns.RETURN], percent), 100 // percent)

    def percentile(column: int, percent: int) -> _Figure:
        return _Figure(lambda table: upper_percentile(table[..., column], percent), max(2, 100 // (100 - percent)))

    def below(column: int, bound: float) -> _Figure:
        return _Figure(lambda table: np.asarray((table[..., column] <= bound).mean(axis=-1)), 1, True)

    drawdowns = {f"max_drawdown_{p}": percentile(columns.DRAWDOWN, p) for p in (50, 95, 99)}
    return {
        "mean_return": _Figure(mean(columns.RETURN), 1),
        "median_return": percentile(columns.RETURN, 50),
        "loss_probability": below(columns.RETURN, -1e-12),
        "var_95": tail(value_at_risk, 5),
        "var_99": tail(value_at_risk, 1),
        "es_95": tail(expected_shortfall, 5),
        "es_99": tail(expected_shortfall, 1),
        "mean_max_drawdown": _Figure(mean(columns.DRAWDOWN), 1),
        **drawdowns,
        "ruin_probability": below(columns.LOWEST, 1.0 - ruin_loss),
        "liquidation_probability": _Figure(mean(columns.LIQUIDATION), 1, True),
        "under_water": _Figure(mean(columns.UNDER_WATER), 1),
        "longest_spell_steps": _Figure(mean(columns.SPELL), 1),
        "longest_spell_steps_95": percentile(columns.SPELL, 95),
        "exposure": _Figure(mean(columns.EXPOSURE), 1),
        "turnover": _Figure(mean(columns.TURNOVER), 1),
        "trades": _Figure(mean(columns.TRADES), 1),
        "cost": _Figure(mean(columns.COST), 1),
    }


def _estimate(figure: _Figure, table: FloatArray) -> Estimate:
    paths = len(table)
    if paths < figure.least:
        return _absent(figure, paths)
    value = float(figure.of(table))
    if figure.is_probability:
        low, high = wilson(value * paths, paths)
        return Estimate(value, (high - low) / (2.0 * Z), low, high)
    return _with_error(value, figure, _by_batch(figure, table), paths)


def _difference(figure: _Figure, table: FloatArray, other: FloatArray) -> Estimate:
    paths = len(table)
    if paths < figure.least:
        return _absent(figure, paths)
    value = float(figure.of(table)) - float(figure.of(other))
    if figure.is_probability:
        each = figure.of(table[:, None, :]) - figure.of(other[:, None, :])
        low, high = paired(float(each[each > 0.0].sum()), float(-each[each < 0.0].sum()), paths)
        return Estimate(value, (high - low) / (2.0 * Z), low, high)
    ours, theirs = _by_batch(figure, table), _by_batch(figure, other)
    return _with_error(value, figure, None if ours is None or theirs is None else ours - theirs, paths)


def _by_batch(figure: _Figure, table: FloatArray) -> FloatArray | None:
    size = len(table) // BATCHES
    if size < max(2, figure.least):
        return None
    return figure.of(table[: size * BATCHES].reshape(BATCHES, size, table.shape[1]))


def _with_error(value: float, figure: _Figure, batches: FloatArray | None, paths: int) -> Estimate:
    if batches is None:
        need = BATCHES * max(2, figure.least)
        return Estimate(value, None, None, None, f"its error needs {need} paths, there are {paths}")
    error = float(batches.std(ddof=1)) / math.sqrt(BATCHES)
    return Estimate(value, error, value - T_BATCHES * error, value + T_BATCHES * error)


def _absent(figure: _Figure, paths: int) -> Estimate:
    return Estimate(None, None, None, None, f"needs {figure.least} paths, there are {paths}")


def _count(n: int, percent: int) -> int:
    """ceil(percent n / 100), exactly."""
    return -(-n * percent // 100)
