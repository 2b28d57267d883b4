"""Targets of the two live policies in floats, compiled: what `propose_target` wants at each of n bars.

Here: from the numbers that may be trusted to weights. What may be trusted, and when, is the caller's. It has no say:
tests hold it to `models.allocation.policy` bar by bar.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.allocation.policy import stable_leg
from models.contracts.vault import PolicyName, VaultConfig

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Rule(NamedTuple):
    """A vault's policy as the kernel reads it.

    `base` (k,) base weights, `stable` (k,) stable legs, `cash` column of the first of them. `on_off`: which of the two
    rules. `enter`, `leave`: scores of the on/off rule. `sigma`, `most`: volatility wanted and largest multiple of the
    base weights of the volatility target.
    """

    base: FloatArray
    stable: BoolArray
    cash: int
    on_off: bool
    enter: float
    leave: float
    sigma: float
    most: float


def rule_of(vault: VaultConfig) -> Rule:
    """The rule of a vault that `check_vault` has passed."""
    limits = vault.limits
    symbols = [asset.symbol for asset in vault.assets]
    return Rule(
        np.array([float(asset.base_weight) for asset in vault.assets]),
        np.array([asset.stable for asset in vault.assets]),
        symbols.index(stable_leg(vault)),
        vault.policy is PolicyName.ON_OFF,
        limits.enter_score,
        limits.leave_score,
        0.0 if limits.target_sigma_ann is None else limits.target_sigma_ann,
        float(limits.max_exposure),
    )


@njit(cache=True, nogil=True)
def fill_targets(rule: Rule, said: FloatArray, is_on: bool, out: FloatArray) -> None:
    """Weights wanted at each of n bars into (n, k) `out`.

    Parameters
    ----------
    said : (n,) score (on/off rule) or annualised volatility forecast (volatility target); NaN = none to be trusted: the
        on/off rule stays where it is, the volatility target wants what it wants at no volatility, which nobody may use.
    is_on : state before the first bar, of the on/off rule.
    """
    n, k = out.shape
    for t in range(n):
        value = said[t]
        if rule.on_off:
            if value > rule.enter:
                is_on = False
            elif value < rule.leave:
                is_on = True
            for a in range(k):
                safe = 1.0 if a == rule.cash else 0.0
                out[t, a] = rule.base[a] if is_on else safe
            continue
        share = min(rule.most, rule.sigma / value) if value == value else rule.most
        room = 1.0
        for a in range(k):
            if not rule.stable[a]:
                out[t, a] = rule.base[a] * share
                room -= out[t, a]
        for a in range(k):
            if rule.stable[a] and a != rule.cash:
                out[t, a] = min(rule.base[a], room)
                room -= out[t, a]
        out[t, rule.cash] = room
