"""A long run of a kept vault: chains are complete, decisions come out again, and what was altered is named."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from keeper.cli import pause, resume
from orchestration.replaying import Part, Replays
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace
from tests.orchestration.kept_market import MINUTES, KeptMarket, kept_market, restless
from tests.orchestration.planted import at

DAYS = 40


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    made = restless(database_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def market(workspace: Workspace, registry: ModelRegistry, tmp_path: Path) -> KeptMarket:
    return kept_market(workspace, registry, tmp_path, DAYS)


def alter(market: KeptMarket, statement: str, **values: object) -> None:
    """As somebody would who goes round the triggers."""
    with market.workspace.warehouse.engine.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        connection.execute(text(statement), values)


def replayed(market: KeptMarket, count: int = 1) -> list[tuple[dict, tuple[Part, ...]]]:  # type: ignore[type-arg]
    replays = Replays(market.workspace, market.registry)
    return [(trail, replays.of(trail)) for trail in map(replays.trail, replays.newest(count))]


def test_all_decisions_of_a_long_run_are_complete_and_come_out_again(market: KeptMarket) -> None:
    rng = random.Random(1)
    for _ in range(DAYS):
        market.score()
        if rng.random() < 0.1:
            pause(market.world.store, "drill", "test")
        market.tick(30)
        resume(market.world.store, "over", "test")
        market.tick(90 if rng.random() < 0.9 else 180)
        market.next_day()
    found = replayed(market, 2 * DAYS)
    assert len(found) == 2 * DAYS
    assert [trail["gaps"] for trail, _ in found] == [[]] * 2 * DAYS
    assert [part for _, parts in found for part in parts if not part.agrees or part.note] == []
    reasons = {reason for trail, _ in found for reason in trail["decision"]["reasons"]}
    assert {"kill_switch_halt", "dead_zone", "score_expired"} <= reasons
    acted = [trail for trail, _ in found if trail["intent"]]
    assert len(acted) > 3
    assert all(trail["attempts"][0]["state"] == "confirmed" for trail in acted)
    assert {trail["model"]["model_version"] for trail, _ in found} == {"1"}


def test_raw_rows_carry_both_clocks_and_what_came_later_is_marked(market: KeptMarket) -> None:
    market.score()
    market.tick()
    ((trail, _),) = replayed(market)
    told = [(row["series"], row["ts"], row["available_at"], row["was_known"]) for row in trail["raw"]]
    of_one = [each[1:] for each in told if each[0] == "BTC"]
    assert of_one == [
        (at(0) - 60 * MINUTES, at(0) + 20 * MINUTES, False),  # scored at a quarter past
        (at(0) - 120 * MINUTES, at(0), True),
    ]
    assert {row["series"] for row in trail["features"]} == {"BTC", "ETH"}


@pytest.mark.parametrize(
    ("statement", "part", "what"),
    [
        ("update risk.scores set score = 99 where score is not null", "score", "score.score"),
        ("update risk.scores set rv_forecast = rv_forecast * 1.001", "score", "score.rv_forecast"),
        ("update risk.target_allocations set reasons = '{test}'", "target", "target.reasons"),
        ("update keeper.decisions set verdict = 'refuse'", "decision", "verdict"),
        ("update keeper.decisions set reasons = '{cooldown}'", "decision", "reasons"),
    ],
)
def test_an_altered_row_is_named(market: KeptMarket, statement: str, part: str, what: str) -> None:
    market.score()
    market.tick()
    alter(market, statement)
    ((_, parts),) = replayed(market)
    differing = [each for each in parts if not each.agrees]
    assert differing[0].name == part
    assert what in {difference.what for difference in differing[0].differences}


def test_revised_features_are_told_apart_from_another_score(market: KeptMarket) -> None:
    market.score()
    market.tick()
    alter(market, "update features.volatility set rv = rv * 4 where as_of = :at", at=at(0))
    ((_, (score, target, decision)),) = replayed(market)
    assert score.note == "its features were revised since"
    assert not score.agrees
    assert target.agrees
    assert decision.agrees


def test_what_is_missing_is_named(market: KeptMarket) -> None:
    market.score()
    market.tick()
    alter(market, "delete from risk.score_inputs")
    alter(market, "delete from raw.candles")
    ((trail, (score, _, decision)),) = replayed(market)
    assert trail["gaps"] == ["score_inputs"]
    assert not score.is_possible
    assert decision.agrees
    assert json.dumps(trail, default=str, allow_nan=False)
    alter(market, "delete from risk.scores")
    ((trail, (score, _, decision)),) = replayed(market)
    assert trail["gaps"] == ["score"]
    assert (score.is_possible, score.note, decision.agrees) == (False, "its row is gone", True)
    alter(market, "delete from risk.target_allocations")
    ((trail, (_, target, decision)),) = replayed(market)
    assert trail["gaps"] == ["target"]
    assert (target.is_possible, target.note, decision.agrees) == (False, "its row is gone", True)
