"""Faults of nodes, ledgers, fees and the database: 14, 15, 18, 20, 27, 29, 30, 35, 36, 41 of the list."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from stellar_sdk import xdr

from keeper.devnet import trouble
from keeper.devnet.faults import Fault, Kind, Script
from keeper.executor import Executor
from keeper.firewall import refusal
from keeper.gateway import Prepared, Uncertain
from keeper.intent import Attempt, Intent, IntentState
from keeper.limits import ControlMode, KeeperLimits
from keeper.networks import PASSPHRASES
from keeper.soroban import SorobanGateway
from keeper.store import KeeperStore
from keeper.trades import plan_trades
from keeper.transport import DeadlineClient
from models.contracts.vault import PolicyState, Reason
from tests.keeper.test_faults import finish, planned, upto
from tests.keeper.test_trades import LIMITS, PRICES, VAULT, view
from tests.keeper.world import MARKET_NOW, World, a_row, build

S = IntentState
HostCode = xdr.InvokeHostFunctionResultCode


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return build(engine, tmp_path)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("method", ["sendTransaction", "getTransaction"])
def test_14_answers_that_are_none_are_outlived(engine: Engine, tmp_path: Path, kind: Kind, method: str) -> None:
    faults = Script()
    world = build(engine, tmp_path, faults)
    upto(world, S.SIGNED)
    faults.faults.append(Fault(kind, method, after=True, times=1))
    assert finish(world).state is S.CONFIRMED
    assert faults.struck == {kind: 1}
    assert world.on_chain.applied == 1


def test_15_a_node_that_drips_is_cut_off() -> None:
    """A byte now and then would renew a time-out of the socket for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.02):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    port = listener.getsockname()[1]
    try:
        gateway = SorobanGateway(f"http://127.0.0.1:{port}", PASSPHRASES["devnet"], DeadlineClient(0.2))
        assert gateway.health() == Uncertain("connection: TimeoutError")
    finally:
        done.set()
        thread.join()
        listener.close()


def test_15_a_hanging_node_costs_one_budget(engine: Engine, tmp_path: Path) -> None:
    world = build(engine, tmp_path, Script(Fault(Kind.HANG, "getTransaction", times=10**6)))
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.reasons == (Reason.CHAIN_UNAVAILABLE,)


def test_18_a_fee_that_a_node_asks_for_is_paid_with_the_same_sequence_number(world: World) -> None:
    world.chain.surge_fee = 5_000
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is S.CONFIRMED  # its own statistics say so from the start
    newest = world.store.latest(world.connection.config.vault.id)[0]
    assert world.store.attempts(newest["intent_id"])[0].inclusion_fee == 5_000


@pytest.mark.parametrize(("asked", "state"), [(5_000, S.CONFIRMED), (3_000_000, S.ABANDONED)])
def test_18_a_surge_after_the_build(world: World, asked: int, state: IntentState) -> None:
    _, intent = upto(world, S.SIGNED)
    world.chain.surge_fee = asked
    done = finish(world)
    assert done.state is state
    attempts = world.store.attempts(intent.id)
    assert attempts[0].result_code == "txINSUFFICIENT_FEE"
    assert len({a.sequence for a in attempts}) == 1
    assert world.store.required_inclusion_fee(intent.id) == asked
    # By then the statistics say 5,000 as well, and every attempt doubles what they say.
    assert [a.inclusion_fee for a in attempts] == ([100, 10_000] if state is S.CONFIRMED else [100])


def test_20_foreign_use_of_the_key_pauses_and_pages(world: World) -> None:
    executor, intent = upto(world, S.SIGNED)
    trouble.compete(world.chain, world.connection.config.source_account)
    intent = executor.advance(intent, MARKET_NOW)
    assert world.store.attempts(intent.id)[-1].result_code == "txBAD_SEQ"
    world.time.sleep(1)
    for _ in range(4):
        world.time.sleep(1)
    intent = executor.advance(intent, MARKET_NOW)
    assert (intent.state, intent.reason) == (S.UNKNOWN, "sequence_used")  # long before its bounds passed
    assert finish(world, 8).state is S.NEEDS_HUMAN
    assert world.store.control(world.connection.config.vault.id).mode is ControlMode.HALT


def invested(world: World, gain: int, fee_bps: int = 2_000) -> World:
    """Everything in the stable leg's strategy, part of it fresh gain whose fee is still to be taken."""
    model = world.on_chain
    address, strategy = next(iter(model.strategies.items()))
    strategy.amount, model.idle[strategy.token] = model.idle[strategy.token] - gain, 0
    model.fee_bps = fee_bps
    trouble.gain(world.chain, model.address, address, gain)
    return world


@pytest.mark.parametrize(("gain", "state"), [(10**10, S.CONFIRMED), (10**12, S.REJECTED)])
def test_27_an_unwind_refused_for_fees_shrinks_within_a_limit(world: World, gain: int, state: IntentState) -> None:
    vault = invested(world, gain).connection.config.vault
    row = a_row(vault)
    weights = {"USDC": Decimal(0), "BTC": Decimal(1), "XLM": Decimal(0), "cNGN": Decimal(0)}
    free = replace(vault, limits=replace(vault.limits, max_step=Decimal(1)))
    config = replace(world.connection.config, vault=free)
    row = replace(row, target=replace(row.target, weights=weights))
    outcome = world.keeper(config=config).tick(row, MARKET_NOW)
    reason = world.store.latest(vault.id)[0]["intent_reason"]
    assert (outcome.intent_state, reason) == (
        state, None if state is S.CONFIRMED else "simulation: unwind_more_than_available")  # fmt: skip


def test_29_a_rescued_strategy_is_left_alone(world: World) -> None:
    model = world.on_chain
    address, strategy = next(iter(model.strategies.items()))
    strategy.amount, model.idle[strategy.token], strategy.paused = model.idle[strategy.token], 0, True
    assert world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW).reasons == (Reason.NOTHING_TO_TRADE,)
    trouble.rescue(world.chain, model.address, address)
    assert (strategy.amount, model.applied) == (0, 0)


@pytest.mark.parametrize(
    "code",
    [
        HostCode.INVOKE_HOST_FUNCTION_TRAPPED,
        HostCode.INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED,
        HostCode.INVOKE_HOST_FUNCTION_ENTRY_ARCHIVED,
        HostCode.INVOKE_HOST_FUNCTION_INSUFFICIENT_REFUNDABLE_FEE,
    ],
)
def test_30_a_failure_on_the_ledger_is_final_and_the_second_one_is_told(world: World, code: HostCode) -> None:
    vault = world.connection.config.vault
    for hour in range(2):
        world.chain.fail_with = code
        now = MARKET_NOW + timedelta(hours=hour)
        assert world.keeper().tick(a_row(vault, as_of=now), now).intent_state is S.FAILED
    with world.store._engine.connect() as connection:
        events = "select body ->> 'in_row' from keeper.events where kind = 'repeated_failures'"
        assert connection.exec_driver_sql(events).scalars().all() == ["2"]
        reason = connection.exec_driver_sql("select distinct reason from keeper.intents").scalar_one()
    assert reason == f"txFAILED/{code.name}"
    assert world.on_chain.applied == 0


@pytest.mark.parametrize("state", [S.PLANNED, S.SIGNING, S.SUBMITTED])
def test_35_stalled_ledgers_are_waited_out(world: World, state: IntentState) -> None:
    _, intent = upto(world, state)
    world.chain.stalled = True
    world.time.seconds += 600
    world.keeper().reconcile(MARKET_NOW)
    assert world.store.intent(intent.id).state is state
    world.chain.stalled = False
    assert finish(world).state in (S.CONFIRMED, S.CANCELLED)
    assert world.on_chain.applied == 1


def test_35_no_intent_begins_while_ledgers_stall(world: World) -> None:
    world.chain.stalled = True
    world.time.seconds += 40
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.reasons == (Reason.CHAIN_UNHEALTHY,)


def test_36_a_reset_network_halts_and_an_upgraded_one_is_refused(world: World) -> None:
    vault = world.connection.config.vault
    trouble.upgrade(world.chain, 29)
    assert world.keeper().tick(a_row(vault), MARKET_NOW).reasons == (Reason.PROTOCOL_UNTESTED,)
    trouble.upgrade(world.chain, 28)
    assert world.keeper().tick(a_row(vault), MARKET_NOW).intent_state is S.CONFIRMED
    trouble.reset(world.chain)
    later = MARKET_NOW + timedelta(hours=30)
    off = a_row(vault, PolicyState.RISK_OFF, 95.0, as_of=later)
    assert world.keeper().tick(off, later).reasons == (Reason.NETWORK_RESET,)
    assert "network reset" in world.store.control(vault.id).reason


class AwayStore(KeeperStore):
    """The database is gone when the intent should move to `state`."""

    def __init__(self, engine: Engine, state: IntentState) -> None:
        super().__init__(engine)
        self._state = state

    def move(
        self, intent: Intent, to: IntentState, event: Mapping[str, Any], reason: str | None = None,
        prepared: Mapping[str, Any] | None = None, attempt: Attempt | None = None,
        outcome: Mapping[str, Any] | None = None,
    ) -> Intent:  # fmt: skip
        if to is self._state:
            raise OperationalError("commit", {}, ConnectionError("the server is away"))
        return super().move(intent, to, event, reason, prepared, attempt, outcome)


@pytest.mark.parametrize(("state", "queued"), [(S.SIGNING, 0), (S.SIGNED, 0), (S.SUBMITTED, 1)])
def test_41_a_database_that_is_away_costs_no_second_transaction(
    world: World, engine: Engine, state: IntentState, queued: int
) -> None:
    intent = planned(world)
    parts = world.connection
    executor = Executor(parts.config, AwayStore(engine, state), parts.gateway, parts.signer)

    def drive(intent: Intent) -> None:
        while True:
            intent = executor.advance(intent, MARKET_NOW)

    with pytest.raises(OperationalError):
        drive(intent)
    assert len(world.chain.state.queue) == queued
    assert finish(world).state is S.CONFIRMED
    assert world.on_chain.applied == 1


def test_a_restore_that_is_asked_for_stops_the_vault(world: World) -> None:
    world.chain.restore = True
    assert world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW).intent_state is S.REJECTED
    control = world.store.control(world.connection.config.vault.id)
    assert (control.mode, "restored" in control.reason) == (ControlMode.HALT, True)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"inclusion_fee": 2_000_001}, "inclusion fee 2000001 above"),
        ({"resource_fee": 8_000_001}, "resource fee 8000001 above"),
        ({"fee_bid": 10_000_001}, "fee 10000001 above"),
        ({"foreign_auth": True}, "authorization"),
        ({"own_writes": True}, "own account"),
        ({"touched": frozenset({"C", "pair"})}, "would write pair"),
    ],
)
def test_32_the_firewall(change: dict[str, Any], complaint: str | None) -> None:
    weights = {"USDC": Decimal("0.6"), "BTC": Decimal("0.4"), "XLM": Decimal(0)}
    plan = plan_trades(VAULT, view(1000_0000000, 0, 0), PRICES, weights, LIMITS)
    good = Prepared("", "", 1, 1, 1, 100_100, 100, 100_000, 1,
                    {"usdc": (1000_0000000, 600_0000000), "btc": (0, 3_9880000)}, False, frozenset({"C"}))  # fmt: skip
    found = refusal(replace(good, **change), plan, frozenset({"C", "usdc", "btc"}), KeeperLimits(), 10_000_000)
    assert found is None if complaint is None else complaint in str(found)
