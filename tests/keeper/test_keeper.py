"""One tick after another on a devnet in process, with a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from keeper.cli import keeper_once, keeper_status, pause, resume
from keeper.decision import TargetInput
from keeper.devnet.admin import DevnetAdmin
from keeper.gateway import Ok
from keeper.intent import IntentState
from keeper.keeper import record_unreachable
from keeper.limits import ControlMode, KeeperConfig, Phase
from keeper.signing.interface import SignedEnvelope, Signer, SigningPolicy
from keeper.snapshot import vault_state
from models.allocation.policy import next_state
from models.allocation.weights import turnover
from models.contracts.market import DataMode
from models.contracts.vault import PolicyState, Reason, Verdict
from tests.keeper.world import MARKET_NOW, PRICES, World, a_row, build


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return build(engine, tmp_path)


class ForbiddenSigner(Signer):
    """Fails the test when asked."""

    @property
    def address(self) -> str:
        raise AssertionError("shadow must not know the signer")

    def sign_envelope(self, unsigned_xdr: str, policy: SigningPolicy) -> SignedEnvelope:
        raise AssertionError("shadow must not sign")


def rows(world: World, query: str) -> list[tuple[object, ...]]:
    with world.store._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_the_first_risk_on_target_moves_the_vault_and_is_recorded(world: World) -> None:
    config = world.connection.config
    outcome = keeper_once(world.keeper(), a_row(config.vault), MARKET_NOW)
    assert (outcome.verdict, outcome.intent_state) == (Verdict.REBALANCE, IntentState.CONFIRMED)
    assert world.on_chain.applied == 1
    state = vault_state(world.connection.gateway, config, PRICES)
    wanted = {"USDC": Decimal("0.4"), "BTC": Decimal("0.3"), "XLM": Decimal("0.2"), "cNGN": Decimal("0.1")}
    # Three buys of 60 % together pay the pool's 0.3 %.
    assert turnover(state.weights, wanted) < Decimal("0.002")
    assert Decimal("998100") < state.tvl_usd < Decimal("998300")
    assert state.share_price == state.tvl_usd / 1_000_000
    kinds = [k for (k,) in rows(world, "select kind from keeper.events order by seq")]
    assert kinds == ["planned", "simulated", "signing", "signed", "submitted", "confirmed", "post_state"]
    assert world.store.verify_events() == 7
    attempt = rows(world, "select state, tx_hash, ledger, fee_charged from keeper.attempts")
    assert len(attempt) == 1
    assert attempt[0][0] == "confirmed"
    assert attempt[0][1] == outcome.tx_hash


def test_a_second_tick_on_the_same_score_sends_nothing(world: World) -> None:
    row = a_row(world.connection.config.vault)
    world.keeper().tick(row, MARKET_NOW)
    again = world.keeper().tick(row, MARKET_NOW)
    assert (again.verdict, again.reasons) == (Verdict.HOLD, (Reason.DEAD_ZONE,))
    # Even if the vault were away from its target, the score was used: the unique key stands.
    world.on_chain.idle[world.connection.config.vault.assets[0].contract] *= 3
    later = MARKET_NOW + timedelta(hours=1)
    world.connection = replace(world.connection, config=_without_cooldown(world))
    third = world.keeper().tick(row, later)
    assert third.reasons == (Reason.ALREADY_DECIDED,)
    assert rows(world, "select count(*) from keeper.intents") == [(1,)]
    assert rows(world, "select count(*) from keeper.decisions") == [(3,)]


def _without_cooldown(world: World):  # type: ignore[no-untyped-def]
    config = world.connection.config
    return replace(config, vault=replace(config.vault, limits=replace(config.vault.limits, cooldown_s=0)))


def test_risk_off_brings_everything_home_after_the_cooldown(world: World) -> None:
    vault = world.connection.config.vault
    world.keeper().tick(a_row(vault), MARKET_NOW)
    soon = MARKET_NOW + timedelta(hours=1)
    off = a_row(vault, PolicyState.RISK_OFF, 95.0, as_of=soon)
    assert world.keeper().tick(off, soon).reasons == (Reason.COOLDOWN,)
    later = MARKET_NOW + timedelta(hours=6)
    off = a_row(vault, PolicyState.RISK_OFF, 95.0, as_of=later)
    outcome = world.keeper().tick(off, later)
    # 0.6 was moved within the day, so 0.4 of the wanted 0.6 is left.
    assert outcome.intent_state is IntentState.CONFIRMED
    assert Reason.TURNOVER_DAY_CAPPED in outcome.reasons
    assert rows(world, "select action from keeper.intents order by created_at") == [("increase",), ("reduce",)]
    next_day = MARKET_NOW + timedelta(hours=31)
    off = a_row(vault, PolicyState.RISK_OFF, 95.0, as_of=next_day)
    assert world.keeper().tick(off, next_day).intent_state is IntentState.CONFIRMED
    idle = world.on_chain.idle
    assert [idle[a.contract] for a in vault.assets[1:]] == [0, 0, 0]


def limited(world: World, **limits: object) -> KeeperConfig:
    config = world.connection.config
    vault = replace(config.vault, limits=replace(config.vault.limits, **limits))  # type: ignore[arg-type]
    return replace(config, vault=vault)


def test_a_dwell_is_counted_in_stored_decisions(world: World) -> None:
    """Every keeper here is a fresh process: what the scores before asked for is in the database alone."""
    config = limited(world, dwell_scores=3)
    outcomes = []
    for hour, score in enumerate([20.0, None, 20.0, 20.0]):
        now = MARKET_NOW + timedelta(hours=hour)
        row = a_row(config.vault, score=score, as_of=now)
        outcomes += [world.keeper(config=config).tick(row, now) for _ in range(2)]  # heard twice, counted once
    assert [o.reasons for o in outcomes[:6]] == [(Reason.DWELL,)] * 2 + [(Reason.SCORE_MISSING,)] * 2 + [
        (Reason.DWELL,)
    ] * 2
    assert outcomes[6].intent_state is IntentState.CONFIRMED
    counts = rows(world, "select inputs -> 'streak' -> 'scores' from keeper.decisions order by created_at")
    assert [n for (n,) in counts] == [1, 1, None, None, 2, 2, 3, 0]  # it is where it wanted to be


def test_a_score_that_flickers_moves_once_a_crossing(world: World) -> None:
    """79 and 81 in turns for a day, after a calm hour: one way in, one way out, and no way back below 70."""
    config = limited(world, max_turnover_day=Decimal(10), max_slippage_bps=200)
    state, moved = None, []
    for hour in range(24):
        now = MARKET_NOW + timedelta(hours=hour)
        value = 20.0 if hour == 0 else (79.0, 81.0)[hour % 2]
        state, _ = next_state(state or PolicyState.RISK_OFF, value, config.vault.limits)
        outcome = world.keeper(config=config).tick(a_row(config.vault, state, value, now), now)
        moved += [hour] if outcome.intent_state is IntentState.CONFIRMED else []
    assert moved == [0, 6]  # 81 came at hour 2; the cooldown held it back
    assert world.on_chain.applied == 2


def test_dollars_of_a_day_are_counted_in_stored_decisions(world: World) -> None:
    """A vault of 1,000,000 dollars, 600,000 to move: 250,000 an action, 400,000 a day."""
    config = limited(world, max_action_usd=Decimal(250_000), max_day_usd=Decimal(400_000), cooldown_s=0)
    moved = []
    for hour in (0, 1, 2, 24.5):
        now = MARKET_NOW + timedelta(hours=hour)
        outcome = world.keeper(config=config).tick(a_row(config.vault, as_of=now), now)
        moved.append(outcome.reasons[-1])
    assert moved == [Reason.VALUE_CAPPED, Reason.VALUE_CAPPED, Reason.VALUE_CAP_REACHED, "test"]
    query = "select (plan ->> 'turnover')::numeric * (inputs -> 'state' ->> 'tvl_usd')::numeric from keeper.decisions"
    planned = [float(str(usd)) for (usd,) in rows(world, query + " where plan is not null order by created_at")]
    assert planned == pytest.approx([250_000, 150_000, 200_000], rel=0.005)
    assert sum(planned[:2]) <= 400_000


def test_disagreeing_prices_are_recorded_and_move_nothing(world: World) -> None:
    config = limited(world, max_price_gap=Decimal("0.01"))
    row = replace(a_row(config.vault), second_prices=PRICES | {"BTC": Decimal("91000")})
    outcome = world.keeper(config=config).tick(row, MARKET_NOW)
    assert (outcome.verdict, outcome.reasons) == (Verdict.REFUSE, (Reason.PRICES_DISAGREE,))
    limit = "inputs #>> '{config,vault,limits,max_price_gap}'"
    stored = rows(world, f"select inputs -> 'price_gaps', {limit} from keeper.decisions")
    assert stored == [({"BTC": str(Decimal(1000) / 90000), "XLM": "0", "cNGN": "0"}, "0.01")]
    agreed = replace(row, second_prices=PRICES)
    assert world.keeper(config=config).tick(agreed, MARKET_NOW).intent_state is IntentState.CONFIRMED


def test_a_refused_outcome_is_recorded_with_its_reason(world: World) -> None:
    strategy = next(iter(world.on_chain.strategies.values()))
    strategy.amount, world.on_chain.idle[strategy.token] = world.on_chain.idle[strategy.token] - 10**12, 10**12
    strategy.paused = True  # of 1,000,000 dollars 100,000 are left to buy for 600,000
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.reasons == (Reason.POST_STATE_OUT_OF_BOUNDS,)
    ((why,),) = rows(world, "select inputs ->> 'post_state_problem' from keeper.decisions")
    assert str(why).startswith("USDC would end at 0.9")


def test_shadow_goes_up_to_the_simulation_and_never_calls_the_signer(engine: Engine, tmp_path: Path) -> None:
    world = build(engine, tmp_path, phase="shadow")
    for signer in (ForbiddenSigner(), None):
        row = a_row(world.connection.config.vault, as_of=MARKET_NOW + timedelta(minutes=1 if signer else 2))
        outcome = world.keeper(signer=signer).tick(row, MARKET_NOW + timedelta(minutes=5))
        assert (outcome.verdict, outcome.intent_state) == (Verdict.REBALANCE, IntentState.SKIPPED)
    assert world.on_chain.applied == 0
    assert rows(world, "select count(*) from keeper.attempts") == [(0,)]
    assert rows(world, "select kind, body ->> 'tx_hash' is null from keeper.events order by seq") == [
        ("planned", True), ("skipped", False), ("planned", True), ("skipped", False)]  # fmt: skip


def test_kill_switch_and_reduce_only(world: World) -> None:
    vault = world.connection.config.vault
    pause(world.store, "drill", "ops")
    assert world.keeper().tick(a_row(vault), MARKET_NOW).reasons == (Reason.KILL_SWITCH_HALT,)
    resume(world.store, "drill over", "ops")
    pause(world.store, "careful", "ops", scope=vault.id, mode=ControlMode.REDUCE_ONLY)
    refused = world.keeper().tick(a_row(vault), MARKET_NOW)
    assert (refused.verdict, refused.reasons) == (Verdict.REFUSE, (Reason.KILL_SWITCH_REDUCE_ONLY,))
    resume(world.store, "fine", "ops", scope=vault.id)
    assert world.keeper().tick(a_row(vault), MARKET_NOW).intent_state is IntentState.CONFIRMED
    pause(world.store, "careful", "ops", scope=vault.id, mode=ControlMode.REDUCE_ONLY)
    later = MARKET_NOW + timedelta(hours=30)
    off = a_row(vault, PolicyState.RISK_OFF, 95.0, as_of=later)
    assert world.keeper().tick(off, later).intent_state is IntentState.CONFIRMED
    status = keeper_status(world.store, vault.id)
    assert status.control.mode is ControlMode.REDUCE_ONLY
    assert [d["verdict"] for d in status.decisions] == ["rebalance", "rebalance", "refuse", "refuse"]
    assert status.open_intents == []


@pytest.mark.parametrize("mode", [DataMode.SIMULATED, DataMode.REPLAY])
def test_made_up_data_never_acts_on_the_public_network(world: World, mode: DataMode) -> None:
    config = world.connection.config
    real = replace(config, vault=replace(config.vault, network="public"), phase=Phase.SHADOW)
    outcome = world.keeper(config=real, signer=ForbiddenSigner()).tick(a_row(real.vault, mode=mode), MARKET_NOW)
    assert (outcome.verdict, outcome.reasons) == (Verdict.REFUSE, (Reason.DATA_MODE_NOT_ALLOWED,))
    live = world.keeper(config=real, signer=None).tick(a_row(real.vault, mode=DataMode.LIVE), MARKET_NOW)
    assert live.reasons == (Reason.WRONG_NETWORK,)


def _no_price(row: TargetInput) -> TargetInput:
    return replace(row, prices={k: v for k, v in row.prices.items() if k != "BTC"})


@pytest.mark.parametrize(
    ("change", "verdict", "reason"),
    [
        (lambda row: None, Verdict.HOLD, Reason.NO_TARGET),
        (lambda row: replace(row, target=replace(row.target, score=None)), Verdict.HOLD, Reason.SCORE_MISSING),
        (lambda row: replace(row, target=replace(row.target, score=100.5)), Verdict.REFUSE, Reason.SCORE_OUT_OF_RANGE),
        (lambda row: replace(row, target=replace(row.target, score=float("nan"))), Verdict.REFUSE,
         Reason.SCORE_OUT_OF_RANGE),
        (lambda row: replace(row, valid_until=MARKET_NOW - timedelta(seconds=1)), Verdict.HOLD, Reason.SCORE_EXPIRED),
        (lambda row: replace(row, target=replace(row.target, as_of=MARKET_NOW + timedelta(seconds=1))), Verdict.HOLD,
         Reason.SCORE_EXPIRED),
        (lambda row: replace(row, target=replace(row.target, as_of=MARKET_NOW - timedelta(hours=3))), Verdict.HOLD,
         Reason.SCORE_STALE),
        (lambda row: replace(row, target=replace(row.target, policy_version="x")), Verdict.REFUSE,
         Reason.POLICY_VERSION_UNKNOWN),
        (lambda row: replace(row, target=replace(row.target, usable=False)), Verdict.HOLD, "test"),
        (lambda row: replace(row, share_imputed=0.26), Verdict.REFUSE, Reason.INPUTS_IMPUTED),
        (lambda row: replace(row, share_imputed=float("nan")), Verdict.REFUSE, Reason.INPUTS_IMPUTED),
        (lambda row: replace(row, prices={**row.prices, "BTC": Decimal(0)}), Verdict.REFUSE, Reason.PRICE_MISSING),
        (lambda row: replace(row, prices={**row.prices, "BTC": Decimal(-1)}), Verdict.REFUSE, Reason.PRICE_MISSING),
        (lambda row: replace(row, target=replace(row.target, weights={**row.target.weights, "BTC": Decimal(1)})),
         Verdict.REFUSE, Reason.POST_STATE_OUT_OF_BOUNDS),
        (_no_price, Verdict.REFUSE, Reason.PRICE_MISSING),
    ],
)  # fmt: skip
def test_bad_inputs_are_recorded_and_move_nothing(world: World, change, verdict, reason) -> None:  # type: ignore[no-untyped-def]
    outcome = world.keeper().tick(change(a_row(world.connection.config.vault)), MARKET_NOW)
    assert (outcome.verdict, outcome.reasons) == (verdict, (reason,))
    assert rows(world, "select verdict, reasons from keeper.decisions") == [(verdict.value, [str(reason)])]
    assert world.on_chain.applied == 0


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda w: setattr(w.on_chain, "rebalance_manager", w.on_chain.address), Reason.ROLE_MOVED),
        (lambda w: setattr(w.chain.state.accounts[w.connection.config.source_account], "balance", 1),
         Reason.BALANCE_BELOW_RESERVE),
        (lambda w: w.on_chain.idle.update(dict.fromkeys(w.on_chain.idle, 0)), Reason.VAULT_EMPTY),
        (lambda w: w.chain.state.vaults.clear(), Reason.CHAIN_UNAVAILABLE),
    ],
)  # fmt: skip
def test_a_changed_chain_is_refused(world: World, harm, reason: Reason) -> None:  # type: ignore[no-untyped-def]
    harm(world)
    assert world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW).reasons == (reason,)


def test_changed_code_is_refused(world: World) -> None:
    config = replace(world.connection.config, code_hash="00" * 32)
    assert world.keeper(config=config).tick(a_row(config.vault), MARKET_NOW).reasons == (Reason.CODE_CHANGED,)


def test_a_second_process_finds_the_account_busy(world: World) -> None:
    with world.store.lock(world.connection.config.source_account) as held:
        assert held
        outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
        assert world.keeper().reconcile(MARKET_NOW) == []
    assert outcome.reasons == (Reason.ACCOUNT_BUSY,)
    assert world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW).intent_state is IntentState.CONFIRMED


def test_a_price_that_ran_away_fails_in_the_simulation(world: World) -> None:
    world.connection.admin.set_prices({"BTC": PRICES["BTC"] * Decimal("1.02")})
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is IntentState.REJECTED
    assert rows(world, "select reason from keeper.intents") == [("simulation: swap_exact_in_error",)]


def test_funds_in_a_strategy_are_unwound_first(world: World) -> None:
    strategy = next(iter(world.on_chain.strategies.values()))
    usdc = strategy.token
    strategy.amount, world.on_chain.idle[usdc] = world.on_chain.idle[usdc] - 10, 10
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is IntentState.CONFIRMED
    kinds = rows(world, "select jsonb_path_query_array(plan, '$.instructions[*].kind') from keeper.intents")
    assert kinds == [(["Unwind", "SwapExactIn", "SwapExactIn", "SwapExactIn"],)]


def test_what_the_gateway_reads_is_what_the_chain_holds(world: World) -> None:
    gateway, config = world.connection.gateway, world.connection.config
    assert gateway.passphrase() == Ok(config.passphrase)
    account = gateway.account(config.source_account)
    assert isinstance(account, Ok)
    assert account.value.balance_stroops == 10_000 * 10**7
    clock = gateway.clock()
    assert isinstance(clock, Ok)
    assert clock.value.ledger == world.chain.state.ledger
    assert clock.value.close_time_s == world.chain.state.close_time_s


@pytest.mark.parametrize("has_target", [True, False])
def test_a_tick_that_meets_no_chain_leaves_a_row(world: World, engine: Engine, has_target: bool) -> None:
    vault = world.connection.config.vault
    row = a_row(vault) if has_target else None
    outcome = record_unreachable(world.store, vault.id, Phase.DEVNET, row, MARKET_NOW, "run-1")
    assert (outcome.verdict, outcome.reasons, outcome.tx_hash) == (Verdict.HOLD, (Reason.CHAIN_UNAVAILABLE,), None)
    with engine.connect() as connection:
        stored = connection.execute(text("select verdict, reasons, score_as_of, data_mode from keeper.decisions")).one()
    expected = (MARKET_NOW, "simulated") if has_target else (None, "none")
    assert tuple(stored) == ("hold", ["chain_unavailable"], *expected)


def test_a_devnet_says_which_one_it_is(world: World) -> None:
    assert DevnetAdmin("http://devnet", world.client).seed() == world.chain.state.seed
