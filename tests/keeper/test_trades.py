"""Integer trades: hand-computed amounts, bounds and invariants."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.gateway import AssetFunds, StrategyFunds, SwapExactIn, Unwind, VaultView
from keeper.limits import KeeperLimits
from keeper.post_state import post_state_problem
from keeper.trades import MissingPrice, outside_bounds, plan_trades, state_of
from models.allocation.weights import weights_of
from models.contracts.vault import ActionHistory, PolicyName, VaultAsset, VaultConfig, VaultLimits

VAULT = VaultConfig(
    "v",
    "devnet",
    "C",
    (
        VaultAsset("USDC", None, D("0.4"), stable=True, contract="usdc"),
        VaultAsset("BTC", "BTC", D("0.4"), contract="btc"),
        VaultAsset("XLM", "XLM", D("0.2"), contract="xlm"),
    ),
    VaultLimits(max_step=D(1)),
    PolicyName.ON_OFF,
)
PRICES = {"BTC": D(100), "XLM": D("0.5")}
LIMITS = KeeperLimits()


def view(usdc: int, btc: int, xlm: int, in_strategy: int = 0) -> VaultView:
    strategies = (StrategyFunds("hold", in_strategy, False),) if in_strategy else ()
    funds = (
        AssetFunds("usdc", usdc + in_strategy, usdc, strategies),
        AssetFunds("btc", btc, btc),
        AssetFunds("xlm", xlm, xlm),
    )
    return VaultView("C", 5, funds, 100_000_0000000, "G", None)


def test_state_by_hand() -> None:
    state = state_of(VAULT, view(500_0000000, 3_0000000, 400_0000000), PRICES)
    assert state.tvl_usd == 1000  # 500 + 3 * 100 + 400 * 0.5
    assert state.weights == {"USDC": D("0.5"), "BTC": D("0.3"), "XLM": D("0.2")}
    assert state.share_price == D("0.01")
    with pytest.raises(MissingPrice, match="BTC"):
        state_of(VAULT, view(1, 1, 1), {"XLM": D(1)})
    with pytest.raises(ValueError, match="holds nothing"):
        state_of(VAULT, view(0, 0, 0), PRICES)


def test_sells_fund_buys_and_come_first() -> None:
    # 0 USDC, 6 BTC (600 $), 800 XLM (400 $) -> 0 / 40 / 60: sell 2 BTC = 200 $, at least 198; buy XLM for those 198.
    plan = plan_trades(VAULT, view(0, 6_0000000, 800_0000000), PRICES, {"USDC": D(0), "BTC": D("0.4"), "XLM": D("0.6")},
                       LIMITS)  # fmt: skip
    assert plan.instructions == (
        SwapExactIn("btc", "usdc", 2_0000000, 198_0000000),
        SwapExactIn("usdc", "xlm", 198_0000000, 392_0400000),  # 396 XLM, less 1 %
    )
    assert plan.low == {"usdc": 0, "btc": 4_0000000, "xlm": 1192_0400000}
    assert plan.high["usdc"] == 4_0000000  # the sale may bring 202
    # Worst case: 400 + 596.02 of 1000.
    assert plan.loss == D("0.00398")


def test_everything_of_a_leg_goes_without_a_rest() -> None:
    plan = plan_trades(VAULT, view(0, 3_3333333, 0), PRICES, {"USDC": D(1), "BTC": D(0), "XLM": D(0)}, LIMITS)
    assert plan.instructions == (SwapExactIn("btc", "usdc", 3_3333333, 329_9999967),)


def test_invested_funds_are_unwound_only_as_far_as_needed() -> None:
    plan = plan_trades(VAULT, view(100_0000000, 0, 0, in_strategy=900_0000000), PRICES,
                       {"USDC": D("0.8"), "BTC": D("0.2"), "XLM": D(0)}, LIMITS)  # fmt: skip
    assert plan.instructions == (Unwind("hold", 100_0000000), SwapExactIn("usdc", "btc", 200_0000000, 1_9800000))


def test_small_trades_and_too_many_are_left_for_later() -> None:
    at = view(1000_0000000, 0, 0)
    assert (
        plan_trades(VAULT, at, PRICES, {"USDC": D("0.9991"), "BTC": D("0.0009"), "XLM": D(0)}, LIMITS).instructions
        == ()
    )
    one = plan_trades(VAULT, at, PRICES, {"USDC": D("0.4"), "BTC": D("0.4"), "XLM": D("0.2")},
                      replace(LIMITS, max_instructions=1))  # fmt: skip
    assert [i.token_out for i in one.instructions if isinstance(i, SwapExactIn)] == ["btc"]


@pytest.mark.parametrize(
    ("balances", "complaint"),
    [
        ({"usdc": (1000_0000000, 600_0000000), "btc": (0, 3_9880000)}, None),
        ({"usdc": (1000_0000000, 600_0000000), "btc": (0, 3_9600000)}, None),
        ({"usdc": (1000_0000000, 600_0000000), "btc": (0, 3_9599999)}, "btc would end"),
        ({"usdc": (1000_0000000, 599_9999999), "btc": (0, 3_9880000)}, "usdc would end"),
        ({"usdc": (1000_0000000, 600_0000000), "btc": (0, 3_98_80000), "xlm": (0, 1)}, "xlm would end"),
        ({"usdc": (1000_0000000, 600_0000000), "btc": (0, 3_9880000), "doge": (0, 1)}, "unknown token"),
        ({"btc": (0, 3_9880000)}, "usdc would not move"),
        ({"usdc": (1000_0000000, 600_0000000)}, "btc would not move"),
        (None, "no state changes"),
    ],
)
def test_simulated_balances_must_agree(balances: dict[str, tuple[int, int]] | None, complaint: str | None) -> None:
    plan = plan_trades(
        VAULT, view(1000_0000000, 0, 0), PRICES, {"USDC": D("0.6"), "BTC": D("0.4"), "XLM": D(0)}, LIMITS
    )
    found = outside_bounds(plan, balances)
    assert found is None if complaint is None else complaint in str(found)


units = st.integers(0, 10**16)
parts = st.lists(st.integers(0, 1000), min_size=3, max_size=3).filter(lambda v: sum(v) > 0)


@given(units, units, units, units, parts)
def test_no_plan_overspends_or_leaves_the_line(usdc: int, btc: int, xlm: int, held: int, goal: list[int]) -> None:
    at = view(usdc + 100_0000000, btc, xlm, held)
    weights = weights_of(dict(zip(("USDC", "BTC", "XLM"), map(D, goal), strict=True)))
    state = state_of(VAULT, at, PRICES)
    plan = plan_trades(VAULT, at, PRICES, weights, LIMITS)
    assert all(v >= 0 for v in plan.low.values())
    assert all(plan.low[t] <= plan.high[t] for t in plan.low)
    assert len(plan.instructions) <= LIMITS.max_instructions
    assert sum(plan.worst.values()) == 1
    assert post_state_problem(VAULT, state, weights, plan, ActionHistory(), LIMITS) is None
