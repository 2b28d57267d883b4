"""Faults between the keeper and a node's queue: 16, 21, 22, 23, 29, 33 of the list, with the keeper at the wheel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from keeper.clock import Clock
from keeper.devnet import trouble
from keeper.devnet.replicas import Balancer, Replica
from keeper.devnet.rpc import Rpc
from keeper.devnet.transport import Faults, InProcessClient
from keeper.gateway import SendStatus
from keeper.intent import IntentState
from tests.keeper.test_faults import finish, upto
from tests.keeper.test_faults_chain import invested
from tests.keeper.world import MARKET_NOW, ManualTime, World, a_row, build

S = IntentState


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return build(engine, tmp_path)


def sends(world: World, intent_id: UUID) -> list[tuple[str, str | None]]:
    """Status and code of each send that was recorded, in order."""
    query = text(
        "select body ->> 'status', body ->> 'code' from keeper.events "
        "where intent_id = :intent and jsonb_exists(body, 'status') order by seq"
    )
    with world.store._engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query, {"intent": intent_id})]


def test_16_a_duplicate_on_the_first_send_counts_as_submitted(world: World) -> None:
    """The process died between the answer and its record: for the store, the first send is still to come."""
    executor, intent = upto(world, S.SIGNED)
    signed = world.store.attempts(intent.id)[-1].signed_xdr
    assert signed is not None
    world.connection.gateway.send(signed)
    intent = executor.advance(intent, MARKET_NOW)
    assert (intent.state, sends(world, intent.id)) == (S.SUBMITTED, [("DUPLICATE", None)])
    assert finish(world).state is S.CONFIRMED
    assert world.on_chain.applied == 1


def test_21_a_resend_after_inclusion_is_settled_by_the_hash(world: World) -> None:
    """The node knows the account's new number but not yet the transaction: every resend is refused, none counts."""
    executor, intent = upto(world, S.SUBMITTED)
    world.chain.ingest_lag = 16
    for _ in range(15):
        world.time.sleep(1)
        intent = executor.advance(intent, MARKET_NOW)
    assert {status for status, _ in sends(world, intent.id)[1:]} >= {SendStatus.TRY_AGAIN_LATER.value}
    assert ("ERROR", "txBAD_SEQ") in sends(world, intent.id)
    assert intent.state is S.SUBMITTED
    assert world.store.attempts(intent.id)[-1].result_code is None
    world.chain.ingest_lag = 0
    assert finish(world).state is S.CONFIRMED
    assert (world.on_chain.applied, len(world.store.attempts(intent.id))) == (1, 1)


class JustBefore(Faults):
    """Something happens once, after the keeper looked and before the node hears `method`."""

    def __init__(self, method: str) -> None:
        self._method = method
        self.happens: Callable[[], None] | None = None

    def before(self, method: str) -> None:
        if method == self._method and self.happens is not None:
            happens, self.happens = self.happens, None
            happens()


def test_22_too_late_at_admission_gets_new_bounds_from_the_chains_clock(engine: Engine, tmp_path: Path) -> None:
    before = JustBefore("sendTransaction")
    world = build(engine, tmp_path, before)
    _, intent = upto(world, S.SIGNED)

    def ledgers_close() -> None:
        for _ in range(30):
            world.time.sleep(1)

    before.happens = ledgers_close
    assert finish(world).state is S.CONFIRMED
    late, renewed = world.store.attempts(intent.id)
    assert (late.state, late.result_code) == ("expired", "txTOO_LATE")
    assert renewed.sequence == late.sequence
    assert renewed.max_time > late.max_time
    assert world.on_chain.applied == 1


@dataclass
class Wrong(Clock):
    """A local clock that is `by` away from the chain's."""

    right: ManualTime
    by: timedelta

    def now(self) -> datetime:
        return self.right.now() + self.by

    def sleep(self, seconds: float) -> None:
        self.right.sleep(seconds)


@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_23_a_local_clock_that_is_wrong_changes_no_bound(world: World, minutes: int) -> None:
    opened = world.chain.state.close_time_s
    keeper = world.keeper(clock=Wrong(world.time, timedelta(minutes=minutes)))
    vault = world.connection.config.vault
    assert keeper.tick(a_row(vault), MARKET_NOW).intent_state is S.CONFIRMED
    attempt = world.store.attempts(world.store.latest(vault.id)[0]["intent_id"])[-1]
    assert attempt.max_time == opened + world.connection.config.limits.validity_s


@pytest.mark.parametrize("state", [S.PLANNED, S.SIGNED, S.SUBMITTED])
def test_29_a_rescue_on_the_way_is_taken_as_a_human_action(world: World, state: IntentState) -> None:
    """Between plan and ledger somebody empties and pauses the strategy that is to be unwound."""
    model = invested(world, 0).on_chain
    address = next(iter(model.strategies))
    _, intent = upto(world, state)
    trouble.rescue(world.chain, model.address, address)
    done = finish(world)
    # Replanned on what is there now, or refused by the ledger; never tried a second time.
    assert done.state is (S.CONFIRMED if state is S.PLANNED else S.FAILED)
    assert len(world.store.attempts(intent.id)) == 1
    assert world.chain.state.queue == {}
    strategy = model.strategies[address]
    assert (strategy.amount, strategy.paused) == (0, True)


def test_33_a_replica_that_lags_after_success_delays_and_never_adds(world: World) -> None:
    """Asked in turn, one node still shows the old number and no transaction."""
    behind = Replica(world.chain, lag=6)
    client = InProcessClient(Balancer(Rpc(behind), Rpc(world.chain)))
    config = world.connection.config
    gateway = type(world.connection.gateway)("http://devnet", config.passphrase, client)
    for _ in range(8):
        world.time.sleep(1)
    keeper = world.keeper(gateway=gateway)
    keeper.tick(a_row(config.vault), MARKET_NOW)
    later = MARKET_NOW + timedelta(hours=1)
    for minute in range(6):
        keeper.reconcile(MARKET_NOW + timedelta(minutes=minute))
    again = keeper.tick(a_row(config.vault, as_of=later), later)
    assert again.intent_state is None
    assert world.on_chain.applied == 1
    with world.store._engine.connect() as connection:
        rows = connection.exec_driver_sql("select state, sequence from keeper.attempts").all()
    assert [row[0] for row in rows] == ["confirmed"]
    assert rows[0][1] == world.chain.state.accounts[config.source_account].sequence
