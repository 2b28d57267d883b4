"""The document of a bench: the same sections whatever failed, ratios where both figures are there, whole on disk."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from orchestration.bench import dbt_nodes
from orchestration.bench import document as doc
from orchestration.bench.document import Outcome, document, keep
from orchestration.bench.figures import best, figure, series

SECTIONS = {
    "failures", "ingest", "hourly_tick", "orchestration_overhead", "peak_memory", "play", "api", "time_of_each_stage",
    "load_after_each_stage", "retraining", "forecasts", "stress", "backtests",
    "decision_to_signed_envelope", "simulations",
}  # fmt: skip
FOUND: dict[str, dict[str, Any]] = {
    doc.INGEST: {"rows": figure(10, "rows")},
    doc.PLAY: {"wall_time": figure(90, "s"), "peak_mb": 700.0},
    doc.API: {"p50_to_bare": figure(5, "times"), "peak_mb": 150.0},
    doc.SOAK: {"p99": figure(20, "ms")},
    doc.SIMULATIONS: {"http_to_in_process": figure(1.1, "times")},
    doc.NEWEST_TENTH: {"rows": 1},
    doc.TICKS_1X: {"wall_time": series([8, 10, 12], "s"), "sum_of_bodies": series([8, 8, 8], "s")},
    doc.TICKS_10X: {"wall_time": series([20, 20, 20], "s"), "sum_of_bodies": series([16, 16, 16], "s")},
    doc.FRESH: {"wall_time": series([40], "s"), "peak_mb": 500.0},
    doc.FEW_SERIES: {"wall_time": figure(100, "s"), "peak_mb": 800.0},
    doc.MANY_SERIES: {"wall_time": figure(250, "s"), "peak_mb": 900.0},
    doc.FORECASTS: {"forecast_of_one_series": series([12], "ms")},
    doc.STRESS: {"regimes": figure(5e7, "path-steps/s")},
    doc.MANY_PATHS: {"wall_time": figure(30, "s"), "peak_mb": 600.0},
    doc.SIGNING: {"own_time": series([30, 20, 40], "ms")},
    doc.BACKTESTS: {"run_fast": best([5, 4, 9], "ms")},
}


def test_all_stages() -> None:
    made = document(Outcome(dict(FOUND), {}, dict.fromkeys(FOUND, 1.5)))
    assert set(made) == SECTIONS
    assert made["failures"] == []
    tick, overhead = made["hourly_tick"], made["orchestration_overhead"]
    assert tick["history_1x"]["wall_time"]["runs"] == [8, 10, 12]
    assert tick["wall_time_10x_to_1x"] == {"value": 2, "unit": "times"}
    assert overhead["tick_in_process"]["value"] == 20
    assert overhead["sum_of_bodies"]["value"] == 16
    assert overhead["in_process_to_bodies"] == {"value": 1.25, "unit": "times"}
    assert overhead["fresh_process_to_in_process"]["value"] == 2
    assert overhead["fresh_process_to_bodies"]["value"] == 2.5
    assert made["peak_memory"]["values"] == {
        "play": 700, "tick_in_a_fresh_process": 500, "api_server": 150,
        "retraining_of_few_series": 800, "retraining_of_many_series": 900, "many_stress_paths": 600,
    }  # fmt: skip
    assert made["retraining"]["wall_time_many_to_few"] == {"value": 2.5, "unit": "times"}
    assert made["forecasts"]["forecast_of_one_series"]["value"] == 12
    assert made["stress"] == {**FOUND[doc.STRESS], "many_paths": {"wall_time": figure(30, "s")}}
    assert made["backtests"]["run_fast"] == {"value": 4, "unit": "ms", "median": 5, "runs": 3}
    assert made["api"]["soak"] == {"p99": figure(20, "ms")}
    assert made["simulations"] == {"http_to_in_process": figure(1.1, "times")}
    assert "peak_mb" not in made["play"]
    assert set(made["time_of_each_stage"]["values"]) == set(FOUND)


@pytest.mark.parametrize("missing", list(FOUND))
def test_a_failed_stage_leaves_the_sections_and_says_why(missing: str) -> None:
    found = {name: value for name, value in FOUND.items() if name != missing}
    made = document(Outcome(found, {missing: "no room"}, {}))
    assert set(made) == SECTIONS
    assert made["failures"] == [{"stage": missing, "reason": "no room"}]
    places = {
        doc.INGEST: made["ingest"], doc.PLAY: made["play"], doc.API: made["api"],
        doc.TICKS_1X: made["hourly_tick"]["history_1x"], doc.TICKS_10X: made["hourly_tick"]["history_10x"],
        doc.FEW_SERIES: made["retraining"]["few_series"], doc.MANY_SERIES: made["retraining"]["many_series"],
        doc.FORECASTS: made["forecasts"], doc.STRESS: made["stress"], doc.MANY_PATHS: made["stress"]["many_paths"],
        doc.BACKTESTS: made["backtests"], doc.SOAK: made["api"]["soak"], doc.SIMULATIONS: made["simulations"],
    }  # fmt: skip
    told = {name: section["not_measured"] for name, section in places.items() if "not_measured" in section}
    assert told == ({missing: f"{missing} failed: see failures"} if missing in places else {})
    ratio = made["hourly_tick"]["wall_time_10x_to_1x"]["value"]
    assert (ratio is None) == (missing in (doc.TICKS_1X, doc.TICKS_10X))
    assert json.loads(doc.written(made)) == made


def test_nothing_ran() -> None:
    made = document(Outcome())
    assert set(made) == SECTIONS
    assert made["play"] == {"not_measured": "it has not run"}
    assert set(made["peak_memory"]["values"].values()) == {None}


def test_what_a_stage_needs() -> None:
    outcome = Outcome({doc.PLAY: {}}, {doc.INGEST: "no room"}, {})
    assert outcome.why_not((doc.PLAY,)) is None
    assert outcome.why_not((doc.PLAY, doc.INGEST, doc.API)) == "it needs what failed or has not run: ingest, api"


def test_kept_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "today.json"
    keep(path, {"a": 1})
    keep(path, {"a": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["today.json"]
    with pytest.raises(ValueError, match="JSON"):
        keep(path, {"a": math.nan})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 2}


def test_what_dbt_wrote_down(tmp_path: Path) -> None:
    results = tmp_path / "run_results.json"
    nodes = [
        {"unique_id": "model.ballast.volatility", "execution_time": 0.5},
        {"unique_id": "test.ballast.not_null_volatility_rv.0a1b", "execution_time": 1.5},
    ]
    results.write_text(json.dumps({"elapsed_time": 1.6, "results": nodes}), encoding="utf-8")
    assert dbt_nodes.report(results) == {
        "nodes": figure(2, "models and tests"),
        "sum_of_nodes": figure(2, "s"),
        "run": figure(1.6, "s"),
        "slowest": {"unit": "s", "values": {"not_null_volatility_rv": 1.5, "volatility": 0.5}},
    }
