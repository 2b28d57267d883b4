"""Risk and cost of a move by hand."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from models.allocation.expectation import Expectation, expectation
from models.contracts.vault import VaultAsset, VaultConfig, VaultLimits, VaultState

VAULT = VaultConfig(
    "v", "devnet", None, (VaultAsset("USDC", None, D("0.5"), stable=True), VaultAsset("BTC", "BTC", D("0.5"))),
    VaultLimits(cost_bps=40, cost_usd=D("1")),
)  # fmt: skip
HELD = VaultState("v", {"USDC": D("0.5"), "BTC": D("0.5")}, D("1000"))
OUT = {"USDC": D("0.75"), "BTC": D("0.25")}


def test_half_of_the_risky_leg_halves_the_risk() -> None:
    # 365 ** 0.5 % a year is 1 % a day at base weights; a quarter is swapped at 0.4 %, and a dollar is 0.1 % of 1000.
    found = expectation(VAULT, HELD, OUT, 0.01 * 365**0.5)
    assert found.risk_before == pytest.approx(0.01)
    assert found.risk_after == pytest.approx(0.005)
    assert found.cost == pytest.approx(0.25 * 0.004 + 0.001)


def test_without_a_forecast_only_the_cost_is_known() -> None:
    assert expectation(VAULT, HELD, OUT, None) == Expectation(None, None, pytest.approx(0.002))
