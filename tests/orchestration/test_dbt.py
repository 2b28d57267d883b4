"""dbt models as assets: keys, groups, checks, what an hour builds, and one real build through Dagster."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration.dbt import dbt_definitions, dbt_resource, hourly_selection
from orchestration.dbt_command import DbtError, parse
from orchestration.keys import CANDLES, SCORES, VOLATILITY_FEATURES
from orchestration.local.environment import dbt_connection


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manifest")
    parse(folder)
    return folder


def _specs(target: Path) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for assets in dbt_definitions(target) for spec in assets.specs}


def test_loading_without_a_manifest_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DbtError, match="run `ballast dbt-parse` first"):
        dbt_definitions(tmp_path)


def test_definitions_are_made_once(target: Path) -> None:
    assert dbt_definitions(target) is dbt_definitions(target)


def test_keys_are_addresses_and_groups_are_layers(target: Path) -> None:
    specs = _specs(target)
    assert VOLATILITY_FEATURES in specs
    assert {key.path[0] for key in specs} == {"staging", "features", "serving"}
    assert all(spec.group_name == key.path[0] for key, spec in specs.items())


def test_lineage_joins_raw_tables_below_and_scores_above(target: Path) -> None:
    specs = _specs(target)
    below = {dep.asset_key for dep in specs[dg.AssetKey(["staging", "candle_slots"])].deps}
    above = {dep.asset_key for dep in specs[dg.AssetKey(["serving", "risk_current"])].deps}
    assert CANDLES in below
    assert SCORES in above


def test_dbt_tests_are_checks_of_their_table(target: Path) -> None:
    checks = {(key.asset_key.path[-1], key.name) for assets in dbt_definitions(target) for key in assets.check_keys}
    assert any(table == "bar_returns" and name.startswith("complete_calendar") for table, name in checks)
    assert {table for table, _ in checks} >= {"bar_returns", "candle_volatility", "rate_days", "premium", "calendar"}


def test_an_hour_builds_features_and_nothing_that_only_the_software_changes(target: Path) -> None:
    graph = dg.Definitions(assets=dbt_definitions(target), resources={"dbt": dbt_resource()}).resolve_asset_graph()
    assert {key.to_user_string() for key in hourly_selection(target).resolve(graph)} == {
        f"features/{table}"
        for table in (
            "bar_returns", "candle_volatility", "rate_days", "rate_volatility", "funding_8h", "premium", "volatility",
            "gap_summary",
        )
    }  # fmt: skip


def test_runs_of_dbt_wait_for_each_other(target: Path) -> None:
    assert {assets.op.pool for assets in dbt_definitions(target)} == {"dbt"}


def test_dagster_builds_the_project(target: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in dbt_connection(database_url).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [dbt_definitions(target)[0]],
            resources={"dbt": dbt_resource()},
            instance=instance,
        )
    assert result.success
    materialized = {event.asset_key for event in result.get_asset_materialization_events()}
    assert VOLATILITY_FEATURES in materialized
    evaluations = result.get_asset_check_evaluations()
    assert evaluations
    assert all(evaluation.passed for evaluation in evaluations)
