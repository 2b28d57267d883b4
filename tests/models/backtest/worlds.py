"""Small worlds for the backtest's tests: a vault, hourly bars, scores at chosen hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import numpy as np

from models.backtest.bars import Bars
from models.contracts.market import DataMode
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import PolicyName, VaultAsset, VaultConfig, VaultLimits

START = datetime(2023, 1, 1, tzinfo=UTC)
FREE = VaultLimits(dead_zone=D(0), max_step=D(1), max_turnover_day=D(24), cooldown_s=0)  # nothing in the way
ONE_COIN = VaultConfig(
    "coin",
    "devnet",
    None,
    (VaultAsset("USDC", None, D(0), stable=True), VaultAsset("BTC", "BTC", D(1))),
    FREE,
    PolicyName.ON_OFF,
)
THREE_LEGS = VaultConfig(
    "mixed",
    "devnet",
    None,
    (
        VaultAsset("USDC", None, D("0.3"), stable=True),
        VaultAsset("BTC", "BTC", D("0.4")),
        VaultAsset("ETH", "ETH", D("0.3")),
    ),
    VaultLimits(),
    PolicyName.ON_OFF,
)


def follows_volatility(vault: VaultConfig, sigma: float = 0.5) -> VaultConfig:
    limits = replace(vault.limits, target_sigma_ann=sigma)
    return replace(vault, limits=limits, policy=PolicyName.VOLATILITY_TARGET)


def hourly(prices: Sequence[Sequence[float]] | np.ndarray, symbols: tuple[str, ...] = ("USDC", "BTC")) -> Bars:
    """Bars that close an hour apart from START on."""
    table = np.asarray(prices, dtype=float)
    first = np.datetime64(START.replace(tzinfo=None), "us")
    return Bars(symbols, first + np.arange(len(table)) * np.timedelta64(1, "h"), table)


def coin(prices: Sequence[float]) -> Bars:
    """Bars of one coin beside a stable leg that is worth a dollar."""
    return hourly(np.column_stack([np.ones(len(prices)), prices]))


def a_score(
    hour: float,
    value: float | None = 20.0,
    sigma: float | None = 0.5,
    late_h: float = 0.0,
    valid_h: float = 2.0,
    status: ScoreStatus = ScoreStatus.OK,
    imputed: float = 0.0,
) -> Score:
    as_of = START + timedelta(hours=hour)
    issued = as_of + timedelta(hours=late_h)
    return Score(
        "vault:mixed", 1, as_of, issued, as_of + timedelta(hours=valid_h), status, (), value, 0.1, 1e-4, sigma, 0.02,
        0.03, "har", "1", DataMode.SIMULATED, imputed, 0.0,
    )  # fmt: skip
