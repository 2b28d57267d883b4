"""A fortnight of a kept vault looked at afterwards: regret of its moves, parity of its days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from keeper.cli import pause, resume
from orchestration.assets.hindsight import parity, regret
from orchestration.checks.keeper_checks import as_backtested
from orchestration.parity import differences, of_day
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace
from tests.orchestration.kept_market import KeptMarket, kept_market, restless
from tests.orchestration.planted import at

DAYS = 12


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    made = restless(database_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def market(workspace: Workspace, registry: ModelRegistry, tmp_path: Path) -> KeptMarket:
    made = kept_market(workspace, registry, tmp_path, DAYS)
    for _ in range(DAYS):
        made.score()
        made.tick(30)
        made.tick(90)
        made.next_day()
    made.clock(45)
    return made


def materialized(market: KeptMarket, asset: Any) -> None:
    assert dg.materialize([asset], resources={"workspace": market.workspace}).success


def test_regret_is_what_the_closes_say(market: KeptMarket) -> None:
    materialized(market, regret)
    materialized(market, regret)  # a second time adds nothing
    rows = market.workspace.warehouse.rows(
        "select r.*, d.inputs, d.plan from risk.regret r join keeper.decisions d on d.id = r.decision_id "
        "where horizon_days = 1 order by decided_at"
    )
    moves = market.workspace.warehouse.rows("select 1 from keeper.intents where state = 'confirmed'")
    assert len(rows) >= len(moves) - 1 > 0, "only a move of the last day may wait"
    first = rows[0]
    closes = market.rows.set_index(["series", "as_of"])["close"]
    growth = {s: closes[s, at(1)] / closes[s, at(0)] for s in ("BTC", "ETH")}
    held = {s: float(w) for s, w in first["inputs"]["state"]["weights"].items()}
    stayed = sum(held.get(s, 0.0) * (g - 1.0) for s, g in growth.items())
    assert first["return_stayed"] == pytest.approx(stayed, abs=1e-9)
    weights = {s: float(w) for s, w in first["plan"]["weights"].items()}
    moved = sum(weights.get(s, 0.0) * (g - 1.0) for s, g in growth.items())
    # The pools took 0.3 % of what was swapped, from the value and from the legs that were bought.
    assert first["cost"] == pytest.approx(0.003 * float(first["plan"]["turnover"]), rel=0.05)
    assert first["return_moved"] == pytest.approx(moved - first["cost"], abs=2e-3)
    assert first["regret"] == pytest.approx(first["return_stayed"] - first["return_moved"])
    assert first["expected_risk_after"] > first["expected_risk_before"] == 0.0, "out of the stable leg"
    assert first["scored_until"] - first["decided_at"] == timedelta(days=1)


def test_every_day_is_as_backtested(market: KeptMarket) -> None:
    days = [of_day(market.workspace, market.vault.id, at(day).date(), "run") for day in range(DAYS)]
    assert [day["ticks"] for day in days] == [2] * DAYS
    assert [each for day in days for each in day["differences"]] == []
    materialized(market, parity)
    assert as_backtested(dg.build_asset_check_context(), workspace=market.workspace).passed


def test_a_guard_is_a_warning_and_another_rule_an_error(market: KeptMarket) -> None:
    market.clock(30)
    market.score()
    pause(market.world.store, "drill", "test")
    market.tick(30)
    resume(market.world.store, "over", "test")
    market.day += 1
    market.clock(30)
    materialized(market, parity)
    judged = as_backtested(dg.build_asset_check_context(), workspace=market.workspace)
    assert (judged.passed, judged.severity) == (False, dg.AssetCheckSeverity.WARN)
    with market.workspace.warehouse.engine.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        connection.execute(text("update risk.parity set others = 1"))
    judged = as_backtested(dg.build_asset_check_context(), workspace=market.workspace)
    assert judged.severity == dg.AssetCheckSeverity.ERROR


def test_a_keeper_that_forgets_its_last_action_is_found(market: KeptMarket) -> None:
    rows = market.workspace.warehouse.rows(
        "select d.*, i.state as intent_state from keeper.decisions d "
        "left join keeper.intents i on i.decision_id = d.id order by d.market_time"
    )
    for row in rows:
        if "history" in row["inputs"]:
            row["inputs"]["history"] |= {"last_action_at": None, "turnover_day": "0"}
    assert {"last action", "turnover of a day"} <= {each["what"] for each in differences((), rows)}
