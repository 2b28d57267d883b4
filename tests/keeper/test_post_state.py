"""The joint check, by hand: what a cap on one leg would leave is refused as a whole, at decision and build."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine
from stellar_sdk import StrKey

from keeper import executor
from keeper.decision import ChainFacts, Judgement, judge
from keeper.devnet.vault_model import Strategy
from keeper.gateway import AccountView, AssetFunds, StrategyFunds, SwapExactIn, VaultView
from keeper.intent import IntentState
from keeper.limits import Control, ControlMode, KeeperConfig, KeeperLimits
from keeper.networks import PASSPHRASES
from keeper.post_state import post_state_problem
from keeper.snapshot import vault_state
from keeper.trades import TradePlan, plan_trades, state_of
from models.allocation.weights import turnover
from models.contracts.vault import ActionHistory, PolicyState, Reason, VaultLimits, Verdict
from tests.keeper.test_faults import planned as planned_intent
from tests.keeper.test_trades import LIMITS, PRICES, VAULT, view
from tests.keeper.world import MARKET_NOW, a_row, a_vault, build
from tests.keeper.world import PRICES as WORLD_PRICES

# 1,000 dollars: 200 USDC, 4 BTC at 100, 800 XLM at 0.5; decided: half of BTC into XLM.
HELD = view(200_0000000, 4_0000000, 800_0000000)
ROTATED = {"USDC": D("0.2"), "BTC": D("0.2"), "XLM": D("0.6")}
BASE = state_of(VAULT, HELD, PRICES)
FRESH = ActionHistory()
DECIDED = {"USDC": D("0.4"), "BTC": D("0.2"), "XLM": D("0.4")}


def problem(plan: TradePlan, weights: dict[str, D] = ROTATED, history: ActionHistory = FRESH, **limits: object) -> str:
    vault = replace(VAULT, limits=replace(VAULT.limits, **limits))  # type: ignore[arg-type]
    return str(post_state_problem(vault, BASE, weights, plan, history, LIMITS))


def planned(weights: dict[str, D] = ROTATED, at: VaultView = HELD, limits: KeeperLimits = LIMITS) -> TradePlan:
    return plan_trades(VAULT, at, PRICES, weights, limits)


def test_a_whole_rotation_passes() -> None:
    assert problem(planned()) == "None"
    assert planned().swapped_usd == 200


def clipped(leg: str) -> VaultView:
    """The same vault, but what the leg can give or take is cut to a quarter of what was decided."""
    funds = {f.asset: f for f in HELD.funds}
    amount = funds[leg].total
    kept = amount - (5000000 if leg == "btc" else 0)  # half a token of BTC is free, or nothing of USDC
    funds[leg] = AssetFunds(leg, amount, amount - kept, (StrategyFunds("rescued", kept, True),))
    return replace(HELD, funds=tuple(funds.values()))


def test_one_leg_clipped_is_refused() -> None:
    """A cap on one leg alone: BTC may fall by 5 % instead of 20 %, and XLM is bought from the reserve instead."""
    plan = planned(at=clipped("btc"))
    assert next(i for i in plan.instructions if isinstance(i, SwapExactIn)).amount_in == 5000000
    assert problem(plan).startswith("USDC would end at 0.0")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (0, "BTC would end at 0.4"),  # the sale is left out
        (1, "USDC would end at 0.39"),  # so is the purchase
    ],
)
def test_half_a_rotation_is_refused(step: int, told: str) -> None:
    whole = planned()
    only = [i for i in whole.instructions if isinstance(i, SwapExactIn)][1 - step]
    low = {"usdc": 200_0000000, "btc": 4_0000000, "xlm": 800_0000000}
    low[only.token_in] -= only.amount_in
    low[only.token_out] += only.amount_out_min
    left = D(low["usdc"]) / 10**7 + D(low["btc"]) / 10**5 + D(low["xlm"]) * D("0.5") / 10**7
    worst = {"USDC": D(low["usdc"]) / 10**7 / left, "BTC": D(low["btc"]) / 10**5 / left}
    worst["XLM"] = 1 - sum(worst.values())
    half = replace(whole, instructions=(only,), low=low, worst=worst, loss=1 - left / 1000)
    assert told in problem(half) or problem(half).startswith("USDC would end")


@pytest.mark.parametrize(
    ("limits", "history", "told"),
    [
        ({"max_step": D("0.2")}, ActionHistory(), "None"),
        ({"max_step": D("0.19")}, ActionHistory(), "max_step leaves 0.190000"),
        ({"max_turnover_day": D(1)}, ActionHistory(None, D("0.8")), "None"),
        ({"max_turnover_day": D(1)}, ActionHistory(None, D("0.81")), "max_turnover_day leaves 0.190000"),
        ({"max_action_usd": D(200)}, ActionHistory(), "None"),
        ({"max_action_usd": D(199)}, ActionHistory(), "max_action_usd leaves 0.199000"),
        ({"max_day_usd": D(300)}, ActionHistory(None, D(0), D(101)), "max_day_usd leaves 0.199000"),
        ({"max_slippage_bps": 1}, ActionHistory(), "could be lost"),  # the plan was made for 100
    ],
)
def test_every_cap_is_looked_at_in_the_end(limits: dict[str, object], history: ActionHistory, told: str) -> None:
    assert told in problem(planned(), history=history, **limits)


def test_while_only_reductions_are_allowed_the_stable_leg_must_grow() -> None:
    plan = planned()
    assert post_state_problem(VAULT, BASE, ROTATED, plan, ActionHistory(), LIMITS, reduce_only=True) is not None
    plan = planned(DECIDED)
    assert post_state_problem(VAULT, BASE, DECIDED, plan, ActionHistory(), LIMITS, reduce_only=True) is None


def judged(weights: dict[str, D], at: VaultView, instructions: int = 6) -> Judgement:
    vault = replace(VAULT, limits=VaultLimits(max_step=D(1), dead_zone=D(0)))
    config = KeeperConfig(vault, "G", limits=replace(LIMITS, max_instructions=instructions))
    row = replace(a_row(vault), prices=PRICES)
    row = replace(row, target=replace(row.target, weights=weights))
    facts = ChainFacts(PASSPHRASES["devnet"], AccountView("G", 1, 10**9, 5), at, 23)
    return judge(config, row, Control(ControlMode.RUN, ""), facts, ActionHistory(), MARKET_NOW)


def test_a_keeper_refuses_the_clipped_vault_and_says_why() -> None:
    found = judged(ROTATED, clipped("btc"))
    assert (found.decision.verdict, found.decision.reasons) == (Verdict.REFUSE, (Reason.POST_STATE_OUT_OF_BOUNDS,))
    assert found.trades is None
    assert str(found.problem).startswith("USDC would end at")
    assert judged(ROTATED, HELD).decision.verdict is Verdict.REBALANCE


def test_legs_without_room_wait_where_all_go_one_way_and_block_where_not() -> None:
    """One instruction for two sales: BTC, the larger, is sold and XLM decided to stay. A rotation is refused."""
    home = {"USDC": D(1), "BTC": D(0), "XLM": D(0)}
    at = view(200_0000000, 5_0000000, 600_0000000)
    found = judged(home, at, instructions=1)
    assert found.decision.weights == {"USDC": D("0.7"), "BTC": D(0), "XLM": D("0.3")}
    assert found.decision.reasons[-1] is Reason.INSTRUCTIONS_CAPPED
    assert found.decision.turnover == D("0.5")
    assert judged(ROTATED, HELD, instructions=1).decision.reasons == (Reason.POST_STATE_OUT_OF_BOUNDS,)


def change_before_the_build(engine: Engine, folder: Path, seed: int) -> IntentState:
    """Between decision and build strategies are paused and filled, caps change: the vault ends as decided, or where
    it was and nothing was signed."""
    rng = Random(seed)
    limits = VaultLimits(max_step=D("0.8"), max_turnover_day=D(2), cooldown_s=3600)
    world = build(engine, folder, vault=a_vault(f"mixed-{seed}", limits))
    vault, now = world.connection.config.vault, MARKET_NOW
    state, score = PolicyState.RISK_ON, 20.0
    if seed % 2:  # the way back
        world.keeper().tick(a_row(vault), MARKET_NOW)
        state, score, now = PolicyState.RISK_OFF, 95.0, MARKET_NOW + timedelta(hours=1)
    intent = planned_intent(world, a_row(vault, state, score, now), now)
    model = world.on_chain
    for token in rng.sample(sorted(t for t, amount in model.idle.items() if amount), rng.randrange(2 + seed % 2)):
        part = model.idle[token] // rng.choice([1, 2, 1000])
        model.idle[token] -= part
        address = StrKey.encode_contract(hashlib.sha256(token.encode()).digest())
        model.strategies[address] = Strategy(token, part, rng.random() < 0.7)
    config = world.connection.config
    cap = rng.choice([D("0.8"), D("0.3")])
    config = replace(config, vault=replace(config.vault, limits=replace(config.vault.limits, max_step=cap)))
    before = vault_state(world.connection.gateway, config, WORLD_PRICES)
    world.keeper(config=config).reconcile(now)
    done = world.store.intent(intent.id)
    after = vault_state(world.connection.gateway, config, WORLD_PRICES)
    decided = {s: D(w) for s, w in intent.plan["weights"].items()}
    if done.state is IntentState.CONFIRMED:
        assert turnover(after.weights, decided) < D("0.005")
        assert turnover(before.weights, after.weights) <= cap + D("0.001")
    else:
        assert done.state is IntentState.REJECTED
        assert str(done.reason).startswith("state after the trades: ")
        assert after.weights == before.weights
        assert all(attempt.signed_xdr is None for attempt in world.store.attempts(intent.id))
    return done.state


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 7, 11, 13, 14])
def test_whatever_happens_before_the_build_only_the_decided_vault_is_signed(
    engine: Engine, tmp_path: Path, seed: int
) -> None:
    rejected = {0, 4, 7, 11}
    wanted = IntentState.REJECTED if seed in rejected else IntentState.CONFIRMED
    assert change_before_the_build(engine, tmp_path, seed) is wanted


def test_a_build_without_the_joint_check_is_caught(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "post_state_problem", lambda *_: None)
    with pytest.raises(AssertionError):
        change_before_the_build(engine, tmp_path, 7)
