"""What waits for a signature or a send while the world goes on: newer scores, other code, other roles, a pause."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from keeper.cli import approve, pause
from keeper.gateway import Ok, Outcome, Retryable, SendReply, VaultView
from keeper.intent import IllegalTransition, Intent, IntentState
from keeper.limits import ControlMode, Phase
from keeper.soroban import SorobanGateway
from models.contracts.vault import PolicyState, Reason
from tests.keeper.test_faults import finish, upto
from tests.keeper.world import MARKET_NOW, World, a_row, build

S = IntentState
HOUR = timedelta(hours=1)


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return build(engine, tmp_path)


@pytest.fixture
def waiting(world: World) -> tuple[World, Intent]:
    """A move that adds risk and waits for leave."""
    config = replace(world.connection.config, phase=Phase.APPROVE)
    world.connection = replace(world.connection, config=config)
    outcome = world.keeper().tick(a_row(config.vault), MARKET_NOW)
    assert outcome.intent_state is S.SIMULATED
    return world, world.store.open_intents(config.source_account)[0]


def test_leave_for_a_move_that_a_newer_score_undoes_comes_too_late(waiting: tuple[World, Intent]) -> None:
    world, intent = waiting
    off = a_row(world.connection.config.vault, PolicyState.RISK_OFF, 95.0, as_of=MARKET_NOW + HOUR)
    outcome = world.keeper().tick(off, MARKET_NOW + HOUR)
    ended = world.store.intent(intent.id)
    assert (ended.state, ended.reason) == (S.CANCELLED, "overtaken_by_a_newer_target")
    assert Reason.INTENT_UNRESOLVED not in outcome.reasons
    with pytest.raises(IllegalTransition):
        approve(world.store, intent.id, "ops")
    assert world.on_chain.applied == 0


def test_a_newer_score_that_asks_for_the_same_leaves_it_waiting(waiting: tuple[World, Intent]) -> None:
    world, intent = waiting
    again = a_row(world.connection.config.vault, as_of=MARKET_NOW + HOUR)
    assert world.keeper().tick(again, MARKET_NOW + HOUR).reasons == (Reason.INTENT_UNRESOLVED,)
    assert world.store.intent(intent.id).state is S.SIMULATED


def test_a_move_does_not_outlive_the_score_that_asked_for_it(world: World) -> None:
    config = replace(world.connection.config, phase=Phase.APPROVE)
    world.connection = replace(world.connection, config=config)
    row = replace(a_row(config.vault), valid_until=MARKET_NOW + timedelta(days=3))
    world.keeper().tick(row, MARKET_NOW)
    intent = world.store.open_intents(config.source_account)[0]
    assert intent.not_after == MARKET_NOW + timedelta(seconds=config.vault.limits.max_score_age_s)
    approve(world.store, intent.id, "ops")
    world.keeper().reconcile(intent.not_after + timedelta(seconds=1))
    assert world.store.intent(intent.id).reason == "score_expired"
    assert world.on_chain.applied == 0


@pytest.mark.parametrize(
    ("change", "reason", "mode"),
    [
        ({"code_hash": "ff" * 32}, "code_changed", ControlMode.HALT),
        ({"rebalance_manager": "G"}, "role_moved", ControlMode.RUN),
    ],
)
def test_code_and_role_are_looked_at_again_before_a_build(
    waiting: tuple[World, Intent], change: dict[str, str], reason: str, mode: ControlMode
) -> None:
    world, intent = waiting
    config = world.connection.config
    seen = world.connection.gateway.vault(str(config.vault.contract))
    assert isinstance(seen, Ok)
    config = replace(config, code_hash=seen.value.code_hash)
    approve(world.store, intent.id, "ops")

    class Changed(SorobanGateway):
        """A node that shows another vault."""

        def vault(self, contract: str) -> Outcome[VaultView]:
            return Ok(replace(seen.value, **change))  # type: ignore[arg-type]

    gateway = Changed("http://devnet", config.passphrase, world.client)
    world.keeper(config=config, gateway=gateway).reconcile(MARKET_NOW)
    ended = world.store.intent(intent.id)
    assert (ended.state, ended.reason) == (S.REJECTED, reason)
    assert world.store.control(config.vault.id).mode is mode
    assert world.on_chain.applied == 0


def test_bytes_that_no_node_took_are_not_sent_after_a_pause(world: World) -> None:
    executor, intent = upto(world, S.SIGNED)

    class Away(SorobanGateway):
        def send(self, signed_xdr: str) -> Outcome[SendReply]:
            return Retryable("http 503")

    parts = world.connection
    away = Away("http://devnet", parts.config.passphrase, world.client)
    executor = type(executor)(parts.config, world.store, away, parts.signer)
    assert executor.advance(intent, MARKET_NOW).state is S.SUBMITTED
    pause(world.store, "drill", "ops")
    done = finish(world)
    assert (done.state, done.reason) == (S.CANCELLED, "kill_switch_halt")
    assert world.on_chain.applied == 0
    assert world.chain.state.queue == {}
