"""`ballast bench --quick` from end to end on a market of one coin, where the stages of the API cannot be measured.

It is told to work under a role that the database does not know: they fail, and all the others are measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.settings import DEFAULT_UNIVERSE, child_environment

BALLAST = (sys.executable, "-m", "orchestration.local.cli")
LEGS = {"USDC": "0.50", "BTC": "0.50"}
STAGES = [
    "ingest", "play", "api", "soak", "newest tenth", "ticks at 1x", "ticks at 10x",
    "ticks in fresh processes", "retraining of many series", "forecasts", "stress paths", "many stress paths",
    "backtests", "decision to signature", "simulations",
]  # fmt: skip
TICK = {"wall_time", "sum_of_bodies", "dagster_overhead", "body_of_each_step", "share_of_bodies", "promoted_champions"}


def _one_coin(path: Path) -> Path:
    universe = yaml.safe_load(DEFAULT_UNIVERSE.read_text(encoding="utf-8"))
    universe["simulated"]["series"] = [s for s in universe["simulated"]["series"] if s["id"] == "BTC"]
    for vault in universe["vaults"]:
        vault["assets"] = [a | {"base_weight": LEGS[a["symbol"]]} for a in vault["assets"] if a["symbol"] in LEGS]
    path.write_text(yaml.safe_dump(universe, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def ended(state: Path) -> subprocess.CompletedProcess[str]:
    variables = {
        "BALLAST_STATE": str(state),
        "BALLAST_UNIVERSE": str(_one_coin(state / "universe.yaml")),
        "BALLAST_SERVING_ROLE": "nobody_of_this_name",
    }
    return subprocess.run(
        (*BALLAST, "bench", "--quick"), env=child_environment(variables), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def document(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_the_failed_stages_are_told_and_nothing_else_failed(
    ended: subprocess.CompletedProcess[str], document: dict[str, Any]
) -> None:
    failures = {failure["stage"]: failure["reason"] for failure in document["failures"]}
    assert list(failures) == ["api", "soak", "simulations"], ended.stderr
    assert all("GET /v1/risk/current answered 503" in failures[stage] for stage in ("api", "soak"))
    assert "POST /v1/risk/simulate answered 503" in failures["simulations"]
    soak = {"not_measured": "soak failed: see failures"}
    assert document["api"] == {"not_measured": "api failed: see failures", "soak": soak}
    assert document["peak_memory"]["values"]["api_server"] is None
    assert ended.returncode == 1
    assert "GET /v1/risk/current answered 503" in ended.stderr
    assert list(document["time_of_each_stage"]["values"]) == STAGES


def test_all_others_are_measured(document: dict[str, Any]) -> None:
    for history in ("history_1x", "history_10x"):
        told = document["hourly_tick"][history]
        assert set(told) >= TICK
        assert told["promoted_champions"]["value"] > 0
        assert told["last_tick"]["scores"]["value"] > 0
        assert {"dbt_tables", "risk__scores"} <= set(told["share_of_bodies"]["values"])
        assert sum(told["share_of_bodies"]["values"].values()) == pytest.approx(100, abs=0.5)
        assert told["dbt_of_the_last_tick"]["slowest"]["values"]
    assert document["hourly_tick"]["history_10x"]["last_tick"]["scores_with_a_number"]["value"] > 0
    overhead = document["orchestration_overhead"]
    figures = [figure["value"] for name, figure in overhead.items() if name != "how"]
    peaks = document["peak_memory"]["values"]
    assert peaks["retraining_of_few_series"] is None
    figures += [value for name, value in peaks.items() if name not in ("api_server", "retraining_of_few_series")]
    figures += [figure["value"] for name, figure in document["ingest"].items() if name.startswith("time_of")]
    assert [value for value in figures if value is None or value <= 0] == []


def test_retraining_and_forecasts_are_measured_on_recorded_coins(document: dict[str, Any]) -> None:
    retraining, forecasts = document["retraining"], document["forecasts"]
    assert retraining["many_series"]["promoted_champions"]["value"] > 0
    assert retraining["few_series"] == {"not_measured": "it has not run"}
    assert forecasts["hourly_candles"]["value"] > 30_000
    assert "ml__walk_forward" in forecasts["steps"]["values"]
    assert forecasts["features_of_one_series"]["features"]["value"] > 30
    for what in ("one_series", "the_trained_series", "1000_series"):
        assert forecasts[f"forecast_of_{what}"]["value"] > 0


def test_stress_paths_and_backtests_are_measured(document: dict[str, Any]) -> None:
    stress, backtests = document["stress"], document["backtests"]
    assert stress["arch"]["bootstrap_to_arch"]["value"] > 0
    assert all(value > 0 for value in stress["times_the_rate_of"]["bare_draw_each_step"]["values"].values())
    assert stress["many_paths"]["paths"]["value"] == 2_000
    assert document["peak_memory"]["values"]["many_stress_paths"] > 0
    assert backtests["run_fast"]["value"] > 0
    assert {"vectorbt", "backtesting_py", "search"} <= set(backtests)


def test_a_signature_is_measured(document: dict[str, Any]) -> None:
    found = document["decision_to_signed_envelope"]
    assert all(found[part]["value"] > 0 for part in ("own_time", "with_node_and_key", "nodes", "signer"))


def test_it_is_kept_and_nothing_else(state: Path, document: dict[str, Any]) -> None:
    kept = {path.suffix: path for path in (state / "bench").iterdir()}
    assert set(kept) == {".log", ".json"}
    assert json.loads(kept[".json"].read_text(encoding="utf-8")) == document
    assert document["finished"] is True
    assert sorted(path.name for path in state.iterdir()) == ["bench", "universe.yaml"]
