"""What a move is expected to bring: risk of one day before and after it, and its cost. Stored with the decision.

Pure. What it brought in the end is scored later (`models.decisions.outcome`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from models.allocation.benefit import DAYS_A_YEAR
from models.allocation.weights import turnover
from models.contracts.vault import VaultConfig, VaultState


@dataclass(frozen=True, slots=True)
class Expectation:
    """`risk_before`, `risk_after`: standard deviation of one day, share of the vault, None without a forecast;
    `cost`: share of the vault that the move takes."""

    risk_before: float | None
    risk_after: float | None
    cost: float


def expectation(
    vault: VaultConfig, state: VaultState, weights: Mapping[str, Decimal], sigma_ann: float | None
) -> Expectation:
    """Risk before and after a move from `state` to `weights`, and its cost.

    Risk as in `models.allocation.benefit`: sigma_ann / sqrt(365) of the base weights, scaling with the share that is
    not in the first stable leg. Cost: `cost_bps` of the turnover and `cost_usd` of the vault's value.

    Parameters
    ----------
    sigma_ann : annualised volatility of the base weights, fraction; None = not said, then both risks are None.
    """
    limits = vault.limits
    stable = next(a for a in vault.assets if a.stable)
    risky = float(1 - stable.base_weight)
    cost = float(turnover(state.weights, weights)) * limits.cost_bps * 1e-4 + float(limits.cost_usd / state.tvl_usd)
    if sigma_ann is None or risky <= 0:
        return Expectation(None, None, cost)
    day = sigma_ann / math.sqrt(DAYS_A_YEAR) / risky
    return Expectation(day * float(1 - state.weights[stable.symbol]), day * float(1 - weights[stable.symbol]), cost)
