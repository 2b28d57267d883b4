"""Fixed weights to compare with: 1/N, and the base weights scaled to a given exposure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

import numpy as np
from numpy.typing import NDArray

from models.allocation.policy import stable_leg
from models.allocation.weights import ONE, QUANTUM
from models.contracts.vault import VaultConfig

FloatArray = NDArray[np.float64]


def equal_risky(vault: VaultConfig) -> dict[str, Decimal]:
    """1/N: the risky part of the base weights in equal shares, for `ConstantMix`."""
    risky = [asset.symbol for asset in vault.assets if not asset.stable]
    part = sum((asset.base_weight for asset in vault.assets if not asset.stable), Decimal(0))
    out = {asset.symbol: asset.base_weight for asset in vault.assets}
    out |= dict.fromkeys(risky, (part / len(risky)).quantize(QUANTUM, rounding=ROUND_DOWN))
    cash = stable_leg(vault)
    out[cash] += ONE - sum(out.values(), Decimal(0))
    return out


def at_exposure(vault: VaultConfig, exposure: float) -> dict[str, Decimal]:
    """Base weights scaled to `exposure` (0-1) outside the stable legs; what is left is in the first of those.

    Raises
    ------
    ValueError
        If the vault has no risky leg, or the exposure is out of range.
    """
    risky = {asset.symbol: asset.base_weight for asset in vault.assets if not asset.stable}
    part = sum(risky.values(), Decimal(0))
    if not (0.0 <= exposure <= 1.0 and part > 0):
        raise ValueError(f"vault {vault.id}: an exposure of {exposure} cannot be held")
    share = Decimal(repr(float(exposure))) / part
    held = {symbol: (weight * share).quantize(QUANTUM, rounding=ROUND_DOWN) for symbol, weight in risky.items()}
    out = {asset.symbol: held.get(asset.symbol, Decimal(0)) for asset in vault.assets}
    out[stable_leg(vault)] = ONE - sum(held.values(), Decimal(0))
    return out


def as_row(vault: VaultConfig, weights: Mapping[str, Decimal]) -> FloatArray:
    """(k,) weights in the order of the vault's legs."""
    return np.array([float(weights[asset.symbol]) for asset in vault.assets])
