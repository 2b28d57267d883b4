"""The weekly table of policies: what is asked, that it is a run of the registry, and that MLflow has it."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import numpy as np
import pytest

from models.contracts.runs import RunStatus, ScoreSource
from orchestration.assets.backtests import FIRST_FORECASTS, policy_backtests, question
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.runs import market_of, registry_of
from orchestration.resources.workspace import Workspace
from orchestration.settings import load_settings
from tests.stored_market import FIRST_SCORE, START, VAULT, write_market


def materialized(workspace: Workspace, registry: ModelRegistry) -> dict[str, object]:
    done = dg.materialize([policy_backtests], resources={"workspace": workspace, "registry": registry})
    (made,) = done.asset_materializations_for_node("risk__runs")
    return {name: value.value for name, value in made.metadata.items()}


def test_both_policies_are_compared_and_kept(workspace: Workspace, registry: ModelRegistry) -> None:
    write_market(workspace.warehouse.engine)
    told = materialized(workspace, registry)
    assert told["dagster/row_count"] == 1
    names = [line.split(" | ")[0] for line in str(told["mixed_strategies"]).splitlines()]
    both = ["onoff", "onoff mix", "voltarget", "voltarget mix"]
    assert names[2:] == [*both, "hold", "equal weight", "inverse volatility"]
    assert str(told["mixed_equity"]).startswith("![equity and drawdown](data:image/png;base64,")

    again = Workspace.of(load_settings({}), workspace.warehouse_url)
    run = registry_of(again.warehouse).find(str(told["runs"]))
    assert run is not None
    assert (run.status, run.requested_by) == (RunStatus.DONE, "dagster")
    # Legs that this market does not price are left out, the other weights scaled up, as the keeper has them.
    assert [asset["symbol"] for asset in run.inputs["vault"]["assets"]] == ["USDC", "cNGN", "BTC", "ETH"]
    with registry._client() as client:
        (experiment,) = client.search_experiments(filter_string="name = 'volatility'")
        (logged,) = client.search_runs([experiment.experiment_id], f"tags.evaluation_id = '{run.id}'")
        assert logged.data.params["data_hash"] == run.data_hash
        sharpe = run.summary["strategies"][0]["figures"]["sharpe"]  # type: ignore[index]
        assert logged.data.metrics["onoff_sharpe"] == pytest.approx(sharpe)
        assert {item.path for item in client.list_artifacts(logged.info.run_id)} == {"equity.png", "strategies.csv"}
    again.close()


def test_a_market_that_is_too_young_says_so(workspace: Workspace, registry: ModelRegistry) -> None:
    write_market(workspace.warehouse.engine, days=200)
    told = materialized(workspace, registry)
    assert told["dagster/row_count"] == 0
    assert str(told["refused"]).startswith("mixed: start: 250 usable days are needed")


def test_the_volatility_that_is_wanted_is_said_before_the_days_that_count(workspace: Workspace) -> None:
    write_market(workspace.warehouse.engine)
    market = market_of(workspace.warehouse)
    asked = question(VAULT, market)
    scores = market.scores("mixed", ScoreSource.WALK_FORWARD)
    first = [score.sigma_ann for score in scores[:FIRST_FORECASTS] if score.sigma_ann is not None]
    assert asked["limits"]["target_sigma_ann"] == pytest.approx(float(np.median(first)), abs=1e-4)
    last = START + timedelta(days=FIRST_SCORE + FIRST_FORECASTS - 1)
    assert scores[FIRST_FORECASTS - 1].as_of == last
    assert asked["start"] == f"{last + timedelta(days=1):%Y-%m-%d}"


def test_without_enough_forecasts_a_vault_is_asked_for_its_own_policy(workspace: Workspace) -> None:
    write_market(workspace.warehouse.engine, first_score=200)
    assert "policies" not in question(VAULT, market_of(workspace.warehouse))
