"""The asset graph as a golden file: a renamed asset, a lost dependency or a moved schedule is a visible diff.

BALLAST_UPDATE_GOLDEN=1 writes the file anew.
"""

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from models.contracts.jobs import ALLOWED_AGE_S
from orchestration import keys
from orchestration.dbt_command import parse, target_folder
from orchestration.definitions import build_definitions
from orchestration.settings import load_settings

GOLDEN = Path(__file__).parents[1] / "golden" / "asset_graph.json"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    settings = load_settings({"BALLAST_STATE": str(tmp_path_factory.mktemp("state")), "BALLAST_CLOCK_SPEED": "60"})
    parse(target_folder(settings))
    return build_definitions(settings)


def described(definitions: dg.Definitions) -> dict[str, Any]:
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    assets = {
        key.to_user_string(): {
            "group": graph.get(key).group_name,
            "kinds": sorted(graph.get(key).kinds),
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "checks": sorted(check.name for check in graph.get(key).check_keys),
            "partitioned": graph.get(key).partitions_def is not None,
        }
        for key in sorted(graph.materializable_asset_keys)
    }
    jobs = {
        job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
        for job in repository.get_all_jobs()
        if not job.name.startswith("__")
    }
    schedules = {s.name: {"cron": s.cron_schedule, "job": s.job_name} for s in repository.schedule_defs}
    sensors = {
        s.name: {"kind": s.sensor_type.value, "seconds": s.minimum_interval_seconds} for s in repository.sensor_defs
    }
    return {
        "assets": assets,
        "blocking_checks": sorted(
            check.to_user_string() for check in graph.asset_check_keys if graph.get(check).blocking
        ),
        "jobs": dict(sorted(jobs.items())),
        "schedules": dict(sorted(schedules.items())),
        "sensors": dict(sorted(sensors.items())),
    }


def test_the_graph_is_the_golden_one(definitions: dg.Definitions) -> None:
    found = described(definitions)
    if os.environ.get("BALLAST_UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_every_asset_says_what_it_is(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.description, f"{key.to_user_string()} has no description"
        assert node.kinds, f"{key.to_user_string()} names no technology"


def test_the_jobs_that_health_expects_exist(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert set(ALLOWED_AGE_S) <= {job.name for job in repository.get_all_jobs()}


def test_no_submission_is_ever_retried(definitions: dg.Definitions) -> None:
    for name in ("keeper", "keeper_reconcile", "play"):
        job = definitions.resolve_job_def(name)
        assert all(node.retry_policy is None for node in job.nodes), name


def upstream(job: dg.JobDefinition, step: str) -> set[str]:
    """Steps that end before `step` starts."""
    found: set[str] = set()
    todo = [step]
    while todo:
        name = todo.pop()
        for invocation, inputs in job.dependencies.items():
            if (invocation.alias or invocation.name) == name:
                nodes = {node.node for dependency in inputs.values() for node in dependency.get_node_dependencies()}
                todo += nodes - found
                found |= nodes
    return found


def test_the_hourly_tick_keeps_the_order_of_the_layers(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("hourly_refresh")
    raw = {"__".join(key.path) for key in keys.INGEST_KEYS}
    assert raw <= upstream(job, "quality")
    assert {"quality", *raw} <= upstream(job, "dbt_tables")
    assert "dbt_tables" in upstream(job, "risk__scores")
    assert "risk__scores" in upstream(job, "risk__target_allocations")
