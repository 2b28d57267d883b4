"""Two price sources: gaps by hand, and what each kind of disagreement means."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from keeper.prices import price_gaps, price_problem
from models.contracts.vault import Reason, VaultConfig
from tests.keeper.test_trades import VAULT

OURS = {"BTC": D(100), "XLM": D("0.5")}


def asking(gap: str | None) -> VaultConfig:
    return replace(VAULT, limits=replace(VAULT.limits, max_price_gap=gap and D(gap)))


def test_the_gap_is_taken_of_the_smaller_price() -> None:
    assert price_gaps(VAULT, OURS, {"BTC": D(102), "XLM": D("0.4")}) == {"BTC": D("0.02"), "XLM": D("0.25")}
    assert price_gaps(VAULT, OURS, {"USDC": D("0.98"), "BTC": D(100)}) == {
        "USDC": D("0.02") / D("0.98"), "BTC": D(0), "XLM": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("second", "gap", "reason"),
    [
        ({"BTC": D(102), "XLM": D("0.5")}, "0.02", None),
        ({"BTC": D("102.01"), "XLM": D("0.5")}, "0.02", Reason.PRICES_DISAGREE),
        ({"BTC": D("98.03"), "XLM": D("0.5")}, "0.02", Reason.PRICES_DISAGREE),  # 100 / 98.03 = 1.0201
        ({"BTC": D("98.04"), "XLM": D("0.5")}, "0.02", None),
        ({"BTC": D(100)}, "0.02", Reason.SECOND_PRICE_MISSING),
        ({}, "0.02", Reason.SECOND_PRICE_MISSING),
        ({"BTC": D("NaN"), "XLM": D("0.5")}, "0.02", Reason.SECOND_PRICE_MISSING),
        ({"BTC": D(0), "XLM": D("0.5")}, "0.02", Reason.SECOND_PRICE_MISSING),
        ({"USDC": D("0.95"), "BTC": D(100), "XLM": D("0.5")}, "0.02", Reason.PRICES_DISAGREE),  # it lost its peg
        ({}, None, None),
    ],
)
def test_agreement(second: dict[str, D], gap: str | None, reason: Reason | None) -> None:
    assert price_problem(asking(gap), OURS, second) is reason


@pytest.mark.parametrize("price", [None, D(0), D("Infinity")])
def test_a_first_price_that_is_none_is_told_apart(price: D | None) -> None:
    ours = {"XLM": D("0.5")} | ({} if price is None else {"BTC": price})
    assert price_problem(asking("0.02"), ours, {"BTC": D(100), "XLM": D("0.5")}) is Reason.PRICE_MISSING
