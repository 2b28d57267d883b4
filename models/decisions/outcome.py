"""What a move brought beside the vault that did not move: scored when its days have passed.

Pure: from closes that were not known at the decision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the same days, for the vault that moved and the one that stayed. `return_*`: simple returns over all days,
    the move's cost within `return_moved`; `risk_*`: root of the mean squared daily return; `regret`: `return_stayed` -
    `return_moved`, positive where moving lost money."""

    return_moved: float
    return_stayed: float
    risk_moved: float
    risk_stayed: float
    regret: float


def after_the_fact(stayed: FloatArray, moved: FloatArray, closes: FloatArray, cost: float) -> Outcome:
    """Score a move against the vault that did not move. Both hold what they held: nothing is rebalanced in between.

    Parameters
    ----------
    stayed, moved : (k,) weights before and after the move, each summing to 1.
    closes : (d + 1, k) dollars a unit at the move and at the end of each of the d days after it, positive; a stable
        leg has ones.
    cost : share of the vault that the move took, 0 <= cost < 1.

    Raises
    ------
    ValueError
        If shapes do not fit, fewer than two closes are given, or a close is NaN or not positive: an outcome is never
        made of prices that are not there.
    """
    if closes.ndim != 2 or len(closes) < 2 or stayed.shape != moved.shape or stayed.shape != closes.shape[1:]:
        raise ValueError("closes: needs (d + 1, k) with d >= 1 and k weights")
    if not bool(np.all(np.isfinite(closes) & (closes > 0))):
        raise ValueError("closes: every one must be positive")
    growth = closes / closes[0]
    worth_stayed, worth_moved = growth @ stayed, (growth @ moved) * (1.0 - cost)
    return_stayed, return_moved = float(worth_stayed[-1] - 1.0), float(worth_moved[-1] - 1.0)
    return Outcome(
        return_moved, return_stayed, _risk(worth_moved), _risk(worth_stayed), return_stayed - return_moved
    )  # fmt: skip


def _risk(worth: FloatArray) -> float:
    """From the values at each day's end alone, so the cost of the move itself is no risk of its days."""
    daily = worth[1:] / worth[:-1] - 1.0
    return float(np.sqrt(np.mean(daily * daily)))
