"""The daily stress test: a run of the registry once a day, with its figures and pictures in Dagster and MLflow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from models.contracts.clock import MarketClock
from models.contracts.runs import RunKind, RunStatus
from models.contracts.tables import RISK_STRESS
from models.runs.kinds import KINDS
from models.runs.plan import unwatched
from orchestration.assets import stress_tests
from orchestration.assets.stress_tests import SUITE, due, stress
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.runs import market_of, registry_of
from orchestration.resources.workspace import Workspace
from orchestration.settings import load_settings
from tests.stored_market import END, write_market


@pytest.fixture
def market(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Fewer paths and one shock: the suite itself is what everybody may ask for."""
    write_market(workspace.warehouse.engine)
    workspace.warehouse.set_clock(MarketClock(END + timedelta(hours=3), None, 1.0))
    small = {**SUITE, "paths": 400, "days": 10, "shocks": {"gap": {"rate_per_year": 20}}}
    monkeypatch.setattr(stress_tests, "SUITE", small)
    return workspace


def materialized(workspace: Workspace, registry: ModelRegistry) -> dict[str, Any]:
    done = dg.materialize([stress], resources={"workspace": workspace, "registry": registry})
    (made,) = done.asset_materializations_for_node("risk__stress")
    return {name: value.value for name, value in made.metadata.items()}


def rows(workspace: Workspace) -> list[dict[str, Any]]:
    return workspace.warehouse.rows(f"select * from {RISK_STRESS} order by id")


def again(workspace: Workspace) -> Workspace:
    return Workspace.of(load_settings({}), workspace.warehouse_url)


def test_the_suite_is_a_question_that_anybody_may_ask(workspace: Workspace) -> None:
    write_market(workspace.warehouse.engine)
    made = KINDS[RunKind.SIMULATION].plan({"vault_id": "mixed", **SUITE}, market_of(workspace.warehouse))
    assert (made.inputs["paths"], made.inputs["days"], len(made.inputs["shocks"])) == (10_000, 30, 11)


def test_each_day_has_its_test_once(market: Workspace, registry: ModelRegistry) -> None:
    told = materialized(market, registry)
    assert told["dagster/row_count"] == 1
    assert materialized(market, registry)["dagster/row_count"] == 0
    own = again(market)
    (row,) = rows(own)
    assert (row["vault_id"], row["as_of"], row["run"]) == ("mixed", END, told["runs"])
    assert (row["issued_at"], row["valid_until"]) == (END + timedelta(hours=3), END + timedelta(hours=26))
    assert due(own) == []
    run = registry_of(own.warehouse).find(row["run"])
    assert run is not None
    assert (run.kind, run.status, run.requested_by) == (RunKind.SIMULATION, RunStatus.DONE, "dagster")
    assert (run.seed, run.inputs["end"]) == (20250514, "2025-05-14")
    # A day later, without newer closes: nothing has closed, so nothing is made up.
    own.warehouse.set_clock(MarketClock(END + timedelta(hours=27), None, 1.0))
    assert [vault.id for vault in due(own)] == ["mixed"]
    own.close()
    assert materialized(market, registry)["dagster/row_count"] == 0


def test_the_same_day_gives_the_same_bytes(market: Workspace, registry: ModelRegistry) -> None:
    name = materialized(market, registry)["runs"]
    own = again(market)
    run = registry_of(own.warehouse).find(name)
    assert run is not None
    outcome = KINDS[run.kind].replan(run.inputs, market_of(own.warehouse)).compute(unwatched)
    assert outcome.summary == run.summary
    own.close()


def test_figures_and_pictures_are_where_they_are_looked_for(market: Workspace, registry: ModelRegistry) -> None:
    told = materialized(market, registry)
    own = again(market)
    run = registry_of(own.warehouse).find(told["runs"])
    own.close()
    assert run is not None
    assert run.summary is not None
    figures = {each["name"]: each["figures"] for each in run.summary["strategies"]}
    assert told["mixed_es_99_without_keeper"] == figures["hold"]["es_99"]["value"]
    assert told["mixed_max_drawdown_95_with_keeper"] == figures["policy"]["max_drawdown_95"]["value"]
    assert told["mixed_max_drawdown_95_with_keeper_error"] == figures["policy"]["max_drawdown_95"]["standard_error"]
    assert told["mixed_es_99_keeper_less_none"] == run.summary["policy_less"]["hold"]["es_99"]["value"]
    assert "keeper less none" in told["mixed_figures"]
    for name in ("fan_chart", "drawdown_histogram"):
        assert told[f"mixed_{name}"].startswith(f"![{name}](data:image/png;base64,iVBOR")
        assert len(told[f"mixed_{name}"]) < 150_000
    with registry._client() as client:
        (experiment,) = client.search_experiments(filter_string="name = 'volatility'")
        (logged,) = client.search_runs([experiment.experiment_id], f"tags.evaluation_id = '{run.id}'")
        assert logged.data.metrics["hold_es_99"] == pytest.approx(figures["hold"]["es_99"]["value"])
        assert logged.data.params["seed"] == "20250514"
        assert {item.path for item in client.list_artifacts(logged.info.run_id)} == {
            "fan_chart.png", "drawdown_histogram.png", "figures.csv", "run.json",
        }  # fmt: skip


def test_what_an_outage_of_mlflow_kept_out_is_logged_with_the_next_test(
    market: Workspace, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as outage:
        outage.setattr(ModelRegistry, "open_run", _away)
        told = materialized(market, registry)
    assert told["not_in_mlflow"].startswith("ConnectionError")
    assert "fan_chart" in told["mixed_fan_chart"]
    own = again(market)
    (row,) = rows(own)
    assert not registry.has_run(row["run"])
    stress_tests.log_what_lacks(registry, own, "mixed")
    assert registry.has_run(row["run"])
    own.close()


def _away(*_: object) -> None:
    raise ConnectionError("nobody there")


def test_a_market_that_is_too_young_says_so(workspace: Workspace, registry: ModelRegistry) -> None:
    write_market(workspace.warehouse.engine, days=200)
    told = materialized(workspace, registry)
    assert told["dagster/row_count"] == 0
    assert told["refused"].startswith("mixed: start: 302 days")
    own = again(workspace)
    assert rows(own) == []
    own.close()
