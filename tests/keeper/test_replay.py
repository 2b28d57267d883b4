"""Stored decisions decided again: what a tick did comes out of what it stored, and an altered row is noticed."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from keeper.cli import pause, resume
from keeper.gateway import Retryable
from keeper.keeper import chain_facts, record_unreachable
from keeper.limits import ControlMode, Phase
from keeper.record import Inputs, inputs_json, read_inputs
from keeper.replay import Difference, Replay, StoredDecision, replay
from models.contracts.market import DataMode
from models.contracts.vault import ActionHistory, PolicyState, Reason, Streak
from tests.keeper.world import MARKET_NOW, World, a_row, build

HOUR = timedelta(hours=1)


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return build(engine, tmp_path)


def stored(world: World) -> list[tuple[StoredDecision, bool]]:
    """All decisions, oldest first, each with whether its score had been acted on before."""
    with world.store._engine.connect() as connection:
        rows = connection.execute(text("select * from keeper.decisions order by created_at")).mappings().all()
    used: set[Any] = set()
    found = []
    for row in rows:
        key = (row["vault_id"], row["policy_version"], row["score_as_of"])
        names = ("verdict", "reasons", "inputs", "plan", "market_time")
        found.append((StoredDecision(**{n: row[n] for n in names}), key in used))
        if row["verdict"] == "rebalance":
            used.add(key)
    return found


def test_a_hundred_random_ticks_come_out_as_they_were_stored(world: World) -> None:
    rng = random.Random(3)
    now, as_of = MARKET_NOW, MARKET_NOW
    met = set()
    for _ in range(100):
        now += timedelta(minutes=rng.choice([20, 60, 400]))
        as_of = now if rng.random() < 0.8 else as_of
        state = rng.choice(list(PolicyState))
        row = a_row(world.connection.config.vault, state, rng.choice([20.0, 95.0, None, 104.0, float("nan")]), as_of)
        if rng.random() < 0.2:
            row = replace(row, share_imputed=rng.choice([0.9, float("nan")]))
        if rng.random() < 0.1:
            row = replace(row, prices={})
        pause(world.store, "test", "test", mode=rng.choices(list(ControlMode), [8, 1, 1])[0])
        target = None if rng.random() < 0.05 else row
        met |= set(world.keeper().tick(target, now).reasons)
    resume(world.store, "done", "test")
    assert {"test", Reason.NO_TARGET, Reason.KILL_SWITCH_HALT, Reason.COOLDOWN, Reason.PRICE_MISSING} <= met
    decisions = stored(world)
    assert len(decisions) == 100
    assert [replay(*each) for each in decisions] == [Replay(())] * 100


def test_a_score_that_was_used_is_known_as_such(world: World) -> None:
    config = world.connection.config
    quick = replace(config, vault=replace(config.vault, limits=replace(config.vault.limits, cooldown_s=0)))
    row = a_row(config.vault)
    world.keeper(config=quick).tick(row, MARKET_NOW)
    assert config.vault.assets[0].contract is not None
    world.on_chain.idle[config.vault.assets[0].contract] *= 3
    again = world.keeper(config=quick).tick(row, MARKET_NOW + HOUR)
    assert again.reasons == (Reason.ALREADY_DECIDED,)
    (_, (second, acted)) = stored(world)
    assert acted
    assert replay(second, acted) == Replay(())
    wrong = replay(second, acted_before=False)
    assert [d.what for d in wrong.differences if not d.what.startswith("plan.")] == ["verdict", "reasons"]


def test_an_obstacle_is_no_disagreement_but_must_have_been_reached(world: World) -> None:
    row = a_row(world.connection.config.vault)
    world.connection.gateway.health = lambda: Retryable("stalled")  # type: ignore[method-assign]
    world.keeper().tick(row, MARKET_NOW)
    record_unreachable(world.store, world.connection.config.vault.id, Phase.DEVNET, row, MARKET_NOW, None)
    (unhealthy, _), (unreachable, _) = stored(world)
    assert replay(unhealthy, False) == Replay((), Reason.CHAIN_UNHEALTHY)
    assert replay(unreachable, False) == Replay((), Reason.CHAIN_UNAVAILABLE)
    too_late = replace(unhealthy, market_time=MARKET_NOW + 3 * HOUR)  # the score would have expired before
    assert Difference("reasons", "['chain_unhealthy']", "['score_expired']") in replay(too_late, False).differences


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("target", "score"), "101.0", "verdict"),
        (("target", "prices", "BTC"), "45000", "plan.prices"),
        (("chain", "balance_stroops"), 0, "verdict"),
        (("history", "last_action_at"), MARKET_NOW.isoformat(), "reasons"),
        (("config", "vault", "limits", "max_step"), "0.1", "plan.turnover"),
        (("control", "mode"), "halt", "reasons"),
        (("streak", "scores"), 3, "streak"),
    ],
)
def test_an_altered_input_is_noticed(world: World, path: tuple[str, ...], value: Any, what: str) -> None:
    world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    ((row, acted),) = stored(world)
    place = row.inputs
    for name in path[:-1]:
        place = place[name]
    assert place[path[-1]] != value
    place[path[-1]] = value  # type: ignore[index]
    assert what in {d.what for d in replay(row, acted).differences}


def test_inputs_are_read_back_as_they_were(world: World) -> None:
    """Whoever adds a field to what a decision rests on has it recorded, or this test fails."""
    config = world.connection.config
    facts = chain_facts(config, world.connection.gateway)
    assert facts is not None
    row = replace(a_row(config.vault, mode=DataMode.REPLAY), share_imputed=0.125, model_version="har-3", target_id=7)
    row = replace(row, target=replace(row.target, sigma_ann=0.1 + 0.2), second_prices={"BTC": Decimal("0.10")})
    history = ActionHistory(MARKET_NOW, Decimal("0.30"), Decimal("1.5"), Streak(MARKET_NOW, True, 2))
    given = Inputs(
        replace(config, known_contracts=frozenset({"B", "A"})), row, world.store.control("x"), facts, history
    )
    written = inputs_json(given.config, row, given.control, facts, history, None)
    assert read_inputs(written) == given


def test_a_record_of_an_older_form_is_refused_by_name() -> None:
    row = StoredDecision("hold", ("dead_zone",), {"control": {"mode": "run", "reason": ""}}, None, MARKET_NOW)
    with pytest.raises(KeyError, match="config"):
        replay(row, False)
