"""Vocabulary of vaults: configuration, state, limits, and the targets that scoring writes and the keeper reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class PolicyState(StrEnum):
    """Two-state memory of the on/off rule: hysteresis needs to know which side it is on."""

    RISK_ON = "risk_on"
    RISK_OFF = "risk_off"


@dataclass(frozen=True, slots=True)
class VaultAsset:
    """One leg of a vault. `series` prices and scores it; None for the stable leg. `invert`: price is 1 / rate,
    as for a token of the quote currency (cNGN is worth 1 / USDNGN dollars)."""

    symbol: str
    series: str | None
    base_weight: Decimal
    stable: bool = False
    invert: bool = False


@dataclass(frozen=True, slots=True)
class VaultLimits:
    """Every bound of the policy and the keeper, each with its reason in the universe file."""

    enter_score: float = 80.0
    leave_score: float = 70.0
    dead_zone: Decimal = Decimal("0.02")  # smaller total drift is not worth a transaction
    max_step: Decimal = Decimal("0.50")  # turnover in one action, share of the vault
    max_turnover_day: Decimal = Decimal("1.00")
    cooldown_s: int = 6 * 3600
    max_score_age_s: int = 2 * 3600
    max_share_imputed: float = 0.25
    max_slippage_bps: int = 100
    max_fee_stroops: int = 10_000_000


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """A vault as the universe file describes it. `network`: devnet, testnet or public."""

    id: str
    network: str
    contract: str | None
    assets: tuple[VaultAsset, ...]
    limits: VaultLimits


@dataclass(frozen=True, slots=True)
class Target:
    """What the policy wants of a vault at one score: weights by symbol that sum to 1, and why."""

    vault_id: str
    as_of: datetime
    state: PolicyState
    weights: Mapping[str, Decimal]
    reasons: tuple[str, ...]
    score: float | None
    policy_version: str
