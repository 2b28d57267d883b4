"""Exact arithmetic on portfolio weights: sums of exactly 1, half-L1 distance, partial steps.

Pure and in Decimal, because these numbers become integer amounts on chain. No thresholds here: they are the
policy's (`models.allocation.policy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

QUANTUM = Decimal("0.00000001")  # 1e-8 of a vault: below any tradable amount, and keeps sums exact
ONE = Decimal(1)


def is_allocation(weights: Mapping[str, Decimal]) -> bool:
    """Whether every weight is finite and not negative and they sum to exactly 1."""
    return all(w.is_finite() and w >= 0 for w in weights.values()) and sum(weights.values(), Decimal(0)) == ONE


def turnover(current: Mapping[str, Decimal], wanted: Mapping[str, Decimal]) -> Decimal:
    """Half the sum of absolute differences: the share of the vault that has to be sold.

    Parameters
    ----------
    current, wanted : weights by symbol over the same symbols.

    Raises
    ------
    KeyError
        If `wanted` lacks a symbol of `current`.
    """
    return sum((abs(wanted[s] - w) for s, w in current.items()), Decimal(0)) / 2


def weights_of(values: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Weights of `values` (any one currency, >= 0), quantised to 1e-8 with a sum of exactly 1.

    The rounding residual goes to the largest leg (the first in order among equals).

    Raises
    ------
    ValueError
        If a value is negative or not finite, or nothing is held.
    """
    if any(not v.is_finite() or v < 0 for v in values.values()):
        raise ValueError("values: every leg must be finite and not negative")
    total = sum(values.values(), Decimal(0))
    if total <= 0:
        raise ValueError("values: the vault holds nothing")
    weights = {s: (v / total).quantize(QUANTUM, rounding=ROUND_DOWN) for s, v in values.items()}
    largest = max(weights, key=lambda s: weights[s])
    weights[largest] += ONE - sum(weights.values(), Decimal(0))
    return weights


def step_towards(
    current: Mapping[str, Decimal], wanted: Mapping[str, Decimal], limit: Decimal, balancing: str
) -> dict[str, Decimal]:
    """Weights on the straight line from `current` to `wanted`, at most `limit` of turnover away from `current`.

    Moves of all legs but `balancing` are rounded towards zero, and `balancing` takes what is left: with P bought and
    N sold elsewhere the turnover is max(P, N), so rounding can only shrink it. Where it would leave `balancing` below
    zero, the largest purchases shrink instead. The sum stays exactly that of `current`, and no weight is negative.
    """
    distance = turnover(current, wanted)
    if distance <= limit:
        return dict(wanted)
    share = limit / distance
    moved = {
        s: w + ((wanted[s] - w) * share).quantize(QUANTUM, rounding=ROUND_DOWN)
        for s, w in current.items()
        if s != balancing
    }
    lacking = sum(moved.values(), Decimal(0)) - sum(current.values(), Decimal(0))
    for s in sorted(moved, key=lambda s: current[s] - moved[s]):
        if lacking <= 0:
            break
        less = min(lacking, max(moved[s] - current[s], Decimal(0)))
        moved[s] -= less
        lacking -= less
    moved[balancing] = sum(current.values(), Decimal(0)) - sum(moved.values(), Decimal(0))
    return {s: moved[s] for s in current}
