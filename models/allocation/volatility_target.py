"""Volatility target: hold as much of the base weights as the forecast volatility allows.

Pure arithmetic on one forecast; guards, freshness and caps are the policy's (`models.allocation.policy`). "No trade
inside a band" is the dead zone that `decide` has for every policy: set it to 0.10 for the usual band of 10 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from models.allocation.weights import ONE, QUANTUM


def exposure(sigma_ann: float, target_sigma_ann: float, most: Decimal) -> Decimal:
    """min(most, sigma* / sigma): multiple of the base weights to hold, in steps of 1e-8, rounded down.

    Parameters
    ----------
    sigma_ann : forecast volatility of the vault at base weights, annualised fraction, > 0.
    target_sigma_ann : the volatility that is wanted, > 0.
    most : upper bound, in multiples of the base weights.

    Raises
    ------
    ValueError
        If a volatility is not above 0: a forecast of no risk at all is no reason to hold the most.

    Notes
    -----
    Scaling by volatility, not by variance (Harvey et al. 2018, "The impact of volatility targeting").
    """
    if not (sigma_ann > 0 and target_sigma_ann > 0):
        raise ValueError(f"volatilities must be above 0: forecast {sigma_ann}, target {target_sigma_ann}")
    if sigma_ann * float(most) <= target_sigma_ann:
        return most
    return Decimal(target_sigma_ann / sigma_ann).quantize(QUANTUM, rounding=ROUND_DOWN)


def scaled(risky: Mapping[str, Decimal], share: Decimal, stable: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Base weights of the risky legs times `share`; the first stable leg takes what is left, so the sum is exactly 1.

    Parameters
    ----------
    risky, stable : base weights by symbol; `stable` has one leg at least.

    Returns
    -------
    The first stable leg, the risky legs, then the other stable legs at their base weights as far as there is room.
    """
    first, *others = stable
    held = {symbol: (weight * share).quantize(QUANTUM, rounding=ROUND_DOWN) for symbol, weight in risky.items()}
    room = ONE - sum(held.values(), Decimal(0))
    for symbol in others:
        held[symbol] = min(stable[symbol], room)
        room -= held[symbol]
    return {first: room} | held
