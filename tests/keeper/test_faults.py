"""Single faults with a known safe outcome: switches thrown in between, a shared key, a node that forgets, a liar."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from stellar_sdk import xdr

from keeper.cli import pause, resolve, resume
from keeper.decision import TargetInput
from keeper.devnet import shapes
from keeper.devnet.transport import ConnectionDropped, Faults
from keeper.executor import Executor
from keeper.gateway import ChainClock, Ok, Outcome
from keeper.intent import IllegalTransition, Intent, IntentState
from keeper.limits import ControlMode, Phase
from keeper.signing.interface import SignedEnvelope, Signer, SignerUnavailable, SigningPolicy, SigningRefused
from models.contracts.vault import PolicyState, Reason
from tests.keeper.crash_kit import congest
from tests.keeper.world import MARKET_NOW, World, a_row, build

S = IntentState


class Tampering(Faults):
    """Rewrites the answers of one method."""

    def __init__(self, method: str, change: Callable[[dict[str, object]], None]) -> None:
        self._method = method
        self._change = change

    def after(self, method: str, body: str) -> str:
        if method != self._method:
            return body
        answer = json.loads(body)
        if "result" in answer:
            self._change(answer["result"])
        return json.dumps(answer)


class Silent(Faults):
    """No connection at all while `on`."""

    on = False

    def before(self, method: str) -> None:
        if self.on:
            raise ConnectionDropped


def planned(world: World, row: TargetInput | None = None, now: datetime = MARKET_NOW) -> Intent:
    """An intent in state planned, as a crash right after the decision leaves it."""

    class Stop(Exception):
        pass

    keeper = world.keeper()

    def stop(*_: object) -> Intent:
        raise Stop

    keeper._driver.drive = stop  # type: ignore[method-assign]
    with pytest.raises(Stop):
        keeper.tick(row or a_row(world.connection.config.vault), now)
    return world.store.open_intents(world.connection.config.source_account)[0]


def upto(world: World, state: IntentState) -> tuple[Executor, Intent]:
    """Advance a fresh intent step by step until it is in `state`."""
    intent = planned(world)
    parts = world.connection
    executor = Executor(parts.config, world.store, parts.gateway, parts.signer)
    while intent.state is not state:
        intent = executor.advance(intent, MARKET_NOW)
    return executor, intent


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return build(engine, tmp_path)


def finish(world: World, minutes: int = 5) -> Intent:
    intent = world.store.open_intents(world.connection.config.source_account)[0]
    for minute in range(minutes):
        world.keeper().reconcile(MARKET_NOW + timedelta(minutes=minute))
    return world.store.intent(intent.id)


@pytest.mark.parametrize("state", [S.PLANNED, S.SIMULATED, S.SIGNING])
def test_a_pause_before_the_signature_cancels(world: World, state: IntentState) -> None:
    upto(world, state)
    pause(world.store, "drill", "ops")
    done = finish(world)
    assert (done.state, done.reason) == (S.CANCELLED, "kill_switch_halt")
    assert all(a.signed_xdr is None for a in world.store.attempts(done.id))
    assert world.on_chain.applied == 0


def test_a_pause_after_the_signature_waits_for_the_proof_and_never_sends(world: World) -> None:
    upto(world, S.SIGNED)
    pause(world.store, "drill", "ops")
    world.keeper().reconcile(MARKET_NOW)
    done = finish(world) if world.store.open_intents(world.connection.config.source_account) else None
    last = world.store.latest(world.connection.config.vault.id)[0]
    assert done is None or done.state is S.CANCELLED
    assert (last["intent_state"], last["intent_reason"]) == ("cancelled", "kill_switch_halt")
    assert world.on_chain.applied == 0
    assert world.chain.state.queue == {}


def test_a_pause_after_the_send_follows_it_to_its_end(world: World) -> None:
    upto(world, S.SUBMITTED)
    pause(world.store, "drill", "ops")
    assert finish(world).state is S.CONFIRMED
    assert world.on_chain.applied == 1


def test_reduce_only_cancels_a_plan_that_adds_risk(world: World) -> None:
    upto(world, S.PLANNED)
    pause(world.store, "careful", "ops", mode=ControlMode.REDUCE_ONLY)
    assert finish(world).reason == "kill_switch_reduce_only"


@pytest.mark.parametrize("state", [S.SIMULATED, S.SIGNING, S.SIGNED])
def test_reduce_only_holds_back_what_was_prepared_before_it(world: World, state: IntentState) -> None:
    _, intent = upto(world, state)
    pause(world.store, "careful", "ops", mode=ControlMode.REDUCE_ONLY)
    done = finish(world)
    assert (done.state, done.reason) == (S.CANCELLED, "kill_switch_reduce_only")
    assert all(a.first_sent_ledger is None for a in world.store.attempts(intent.id))
    assert (world.on_chain.applied, world.chain.state.queue) == (0, {})


@pytest.mark.parametrize("state", [S.PLANNED, S.SIMULATED, S.SIGNING, S.SIGNED])
def test_an_intent_from_before_the_shadow_phase_is_never_sent(world: World, state: IntentState) -> None:
    _, intent = upto(world, state)
    shadow = replace(world.connection.config, phase=Phase.SHADOW)
    for _ in range(2):
        world.keeper(config=shadow, signer=None).reconcile(MARKET_NOW)
    done = world.store.intent(intent.id)
    assert (done.state, done.reason) == (S.SKIPPED, "shadow")
    assert all(a.first_sent_ledger is None for a in world.store.attempts(intent.id))
    assert (world.on_chain.applied, world.chain.state.queue) == (0, {})


def test_a_score_that_expires_before_the_signature_is_not_signed_for(world: World) -> None:
    executor, intent = upto(world, S.SIGNING)
    late = MARKET_NOW + timedelta(hours=2, seconds=1)
    ended = executor.advance(executor.advance(intent, late), late)
    assert (ended.state, ended.reason) == (S.ABANDONED, "score_expired")
    assert [a.state for a in world.store.attempts(intent.id)] == ["void"]


def test_nodes_that_disagree_on_the_time_cannot_hold_a_tick_for_ever(world: World) -> None:
    """Every preparation looks too old a moment later: the budget ends it, nothing was signed."""
    _, intent = upto(world, S.PLANNED)
    looks = iter(range(10**6))

    class Disagreeing(type(world.connection.gateway)):  # type: ignore[misc]
        def clock(self) -> Outcome[ChainClock]:
            found = super().clock()
            assert isinstance(found, Ok)
            world.time.seconds += 1  # every question takes its time
            return Ok(replace(found.value, close_time_s=found.value.close_time_s + 60 * (next(looks) % 2)))

    config = replace(world.connection.config, limits=replace(world.connection.config.limits, drive_budget_s=20))
    gateway = Disagreeing("http://devnet", config.passphrase, world.client)
    world.keeper(config=config, gateway=gateway).reconcile(MARKET_NOW)
    assert world.store.intent(intent.id).state in (S.PLANNED, S.SIMULATED)
    assert world.store.attempts(intent.id) == []


def test_a_vault_read_from_a_node_that_lags_is_not_built_on(engine: Engine, tmp_path: Path) -> None:
    lag = [False]

    def behind(result: dict[str, object]) -> None:
        if lag[0]:
            result["latestLedger"] = 1

    world = build(engine, tmp_path, Tampering("simulateTransaction", behind))
    config = world.connection.config
    assert world.keeper().tick(a_row(config.vault), MARKET_NOW).intent_state is S.CONFIRMED
    later, lag[0] = MARKET_NOW + timedelta(hours=30), True
    off = a_row(config.vault, PolicyState.RISK_OFF, 95.0, as_of=later)
    assert world.keeper().tick(off, later).intent_state is S.PLANNED
    assert world.on_chain.applied == 1
    lag[0] = False
    assert world.keeper().reconcile(later)[0].state is S.CONFIRMED


def test_a_score_that_expires_ends_the_plan(world: World) -> None:
    _, intent = upto(world, S.PLANNED)
    world.keeper().reconcile(MARKET_NOW + timedelta(hours=2, seconds=1))
    assert world.store.intent(intent.id).reason == "score_expired"


def test_a_deposit_between_decision_and_build_cancels(world: World) -> None:
    upto(world, S.PLANNED)
    usdc = str(world.connection.config.vault.assets[0].contract)
    world.on_chain.idle[usdc] += world.on_chain.idle[usdc] // 500
    assert finish(world).reason == "vault_changed_since_decision"


def test_prices_that_move_before_the_ledger_fail_without_effect(world: World) -> None:
    executor, intent = upto(world, S.SUBMITTED)
    world.connection.admin.set_prices({"BTC": 2 * a_row(world.connection.config.vault).prices["BTC"]})
    world.time.sleep(1)
    done = executor.advance(intent, MARKET_NOW)
    assert (done.state, done.reason) == (S.FAILED, "txFAILED/INVOKE_HOST_FUNCTION_TRAPPED")
    attempt = world.store.attempts(intent.id)[-1]
    assert attempt.state == "failed"
    assert world.store.last_used_sequence(done.source_account) == attempt.sequence
    with world.store._engine.connect() as connection:
        row = connection.exec_driver_sql("select contract_error, fee_charged, ledger from keeper.attempts").one()
    assert row[0] == "201"
    assert row[1] == attempt.fee_bid
    assert row[2] == world.chain.state.ledger


def test_another_user_of_the_key_blocks_the_account_until_a_human_looks(world: World) -> None:
    upto(world, S.SIGNED)
    account = world.chain.state.accounts[world.connection.config.source_account]
    account.sequence += 1  # somebody else's transaction with our number
    done = finish(world, 8)
    assert done.state is S.NEEDS_HUMAN
    control = world.store.control(world.connection.config.vault.id)
    assert control.mode is ControlMode.HALT
    assert str(done.id) in control.reason
    later = MARKET_NOW + timedelta(hours=1)
    again = world.keeper().tick(a_row(world.connection.config.vault, as_of=later), later)
    assert again.reasons == (Reason.INTENT_UNRESOLVED,)
    assert world.on_chain.applied == 0
    resolve(world.store, done.id, S.ABANDONED, "the other transaction was a test payment", "ops")
    resume(world.store, "looked at", "ops", scope=world.connection.config.vault.id)
    with pytest.raises(IllegalTransition, match="by hand"):
        resolve(world.store, done.id, S.FAILED, "again", "ops")
    free = world.keeper().tick(a_row(world.connection.config.vault, as_of=later), later)
    assert free.intent_state is S.CONFIRMED


def test_a_network_that_rejects_our_key_stops_the_vault(engine: Engine, tmp_path: Path) -> None:
    def reject(result: dict[str, object]) -> None:
        result |= {"status": "ERROR", "errorResultXdr": shapes.refusal(xdr.TransactionResultCode.txBAD_AUTH, 100)}

    world = build(engine, tmp_path, Tampering("sendTransaction", reject))
    congest(world, 200)
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is S.ABANDONED
    assert "txBAD_AUTH" in world.store.control(world.connection.config.vault.id).reason


def test_a_node_that_forgot_the_ledgers_in_question_proves_nothing(engine: Engine, tmp_path: Path) -> None:
    def forget(result: dict[str, object]) -> None:
        result["oldestLedger"] = result["latestLedger"]

    world = build(engine, tmp_path, Tampering("getTransaction", forget))
    upto(world, S.SIGNED)
    congest(world, 200)
    done = finish(world, 8)
    assert (done.state, done.reason) == (S.NEEDS_HUMAN, "out_of_memory")


def test_an_answer_that_contradicts_itself_is_never_guessed(engine: Engine, tmp_path: Path) -> None:
    def lie(result: dict[str, object]) -> None:
        if result["status"] == "SUCCESS":
            result["status"] = "FAILED"

    world = build(engine, tmp_path, Tampering("getTransaction", lie))
    upto(world, S.SUBMITTED)
    done = finish(world, 40)
    assert (done.state, done.reason) == (S.NEEDS_HUMAN, "contradiction")
    # The truth is found as soon as a node tells it.
    honest = replace(world.connection, gateway=type(world.connection.gateway)(
        "http://devnet", world.connection.config.passphrase, type(world.client)(world.client._rpc)))  # fmt: skip
    world.connection = honest
    world.keeper().reconcile(MARKET_NOW)
    assert world.store.intent(done.id).state is S.CONFIRMED


class BadSigner(Signer):
    def __init__(self, inner: Signer, error: Exception | None) -> None:
        self._inner = inner
        self.error = error

    @property
    def address(self) -> str:
        return self._inner.address

    def sign_envelope(self, unsigned_xdr: str, policy: SigningPolicy) -> SignedEnvelope:
        if self.error is not None:
            raise self.error
        return self._inner.sign_envelope(unsigned_xdr, policy)


def test_a_refusing_signer_stops_the_vault(world: World) -> None:
    signer = BadSigner(world.connection.signer, SigningRefused("not what was agreed"))
    outcome = world.keeper(signer=signer).tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is S.REJECTED
    assert world.store.control(world.connection.config.vault.id).mode is ControlMode.HALT


def test_a_signer_that_is_away_is_waited_for(world: World) -> None:
    signer = BadSigner(world.connection.signer, SignerUnavailable("throttled"))
    ends = [world.time.seconds + 20]
    world.time.on_sleep.append(lambda: setattr(signer, "error", None) if world.time.seconds > ends[0] else None)
    outcome = world.keeper(signer=signer).tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is S.CONFIRMED
    assert world.on_chain.applied == 1


def test_a_surge_in_fees_is_not_paid(engine: Engine, tmp_path: Path) -> None:
    def surge(result: dict[str, object]) -> None:
        result["sorobanInclusionFee"]["p95"] = str(10**10)  # type: ignore[index]

    world = build(engine, tmp_path, Tampering("getFeeStats", surge))
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is S.REJECTED
    assert "above the cap" in str(world.store.latest(world.connection.config.vault.id)[0]["intent_reason"])


@pytest.mark.parametrize("reported", ["absent", "elsewhere"])
def test_an_outcome_that_was_not_agreed_is_not_signed(engine: Engine, tmp_path: Path, reported: str) -> None:
    def change(result: dict[str, object]) -> None:
        if reported == "absent":
            result.pop("stateChanges", None)
        elif len(list(result.get("stateChanges", []))) > 1:  # type: ignore[call-overload]
            result["stateChanges"] = result["stateChanges"][1:]  # type: ignore[index]

    world = build(engine, tmp_path, Tampering("simulateTransaction", change))
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is S.REJECTED
    assert world.store.latest(world.connection.config.vault.id)[0]["tx_hash"] is None


def test_a_vault_never_drives_the_intent_of_another_on_its_account(world: World) -> None:
    _, intent = upto(world, S.SIMULATED)
    config = world.connection.config
    other = replace(config, vault=replace(config.vault, id="other"))
    assert world.keeper(config=other).reconcile(MARKET_NOW) == []
    outcome = world.keeper(config=other).tick(a_row(other.vault), MARKET_NOW)
    assert outcome.reasons == (Reason.INTENT_UNRESOLVED,)
    assert world.store.intent(intent.id) == intent
    assert finish(world).state is S.CONFIRMED


def test_an_outage_in_the_middle_is_finished_by_the_reconcile_job(engine: Engine, tmp_path: Path) -> None:
    faults = Silent()
    world = build(engine, tmp_path, faults)
    _, intent = upto(world, S.SUBMITTED)
    faults.on = True
    world.keeper().reconcile(MARKET_NOW)
    assert world.store.intent(intent.id).state is S.SUBMITTED
    faults.on = False
    assert finish(world).state is S.CONFIRMED
    clock = world.connection.gateway.clock()
    assert isinstance(clock, Ok)
