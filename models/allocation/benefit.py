"""Whether a move is worth what it costs: one-day risk that changes, against swaps and the transaction.

Pure arithmetic on a forecast; whether it binds is the vault's limit `min_benefit`. The compiled twin is in
`models.backtest.kernel`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from models.allocation.weights import turnover
from models.contracts.vault import VaultConfig, VaultState

DAYS_A_YEAR = 365.0


def is_worth_its_cost(
    vault: VaultConfig, state: VaultState, weights: Mapping[str, Decimal], sigma_ann: float | None
) -> bool:
    """Whether moving from `state` to `weights` changes the vault's risk by `min_benefit` times its cost or more.

    Risk: standard deviation of one day, sigma_ann / sqrt(365) of the base weights, taken to scale with the share that
    is not in the first stable leg. Cost: `cost_bps` of the turnover and `cost_usd` of the vault's value. Both are
    shares of the vault. A move among risky legs changes no risk by this measure.

    Parameters
    ----------
    sigma_ann : annualised volatility of the base weights, fraction; None = a strategy without a forecast, whose moves
        are not weighed. A score without one never gets here (`models.allocation.policy`).

    Notes
    -----
    Always true with `min_benefit` 0.
    """
    limits = vault.limits
    if limits.min_benefit == 0 or sigma_ann is None:
        return True
    stable = next(a for a in vault.assets if a.stable)
    risky = float(1 - stable.base_weight)
    moved = abs(float(weights[stable.symbol] - state.weights[stable.symbol]))
    benefit = sigma_ann / math.sqrt(DAYS_A_YEAR) * moved / risky if risky > 0 else 0.0
    cost = float(turnover(state.weights, weights)) * limits.cost_bps * 1e-4 + float(limits.cost_usd / state.tvl_usd)
    return benefit >= limits.min_benefit * cost
