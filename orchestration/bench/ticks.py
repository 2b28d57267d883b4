"""The hourly job in this process: how long a tick takes, what of it each step takes, what Dagster adds to bodies."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import dagster as dg

from models.contracts.jobs import HOURLY_REFRESH
from models.contracts.tables import OPS_MARKET, RISK_SCORES
from orchestration import keys, quiet
from orchestration.bench import dbt_nodes
from orchestration.bench.bodies import timed_bodies
from orchestration.bench.document import Unmeasured
from orchestration.bench.figures import figure, figures, ratio, series
from orchestration.bench.market_time import advance
from orchestration.dbt_command import target_folder
from orchestration.definitions import build_definitions
from orchestration.partitions import partition_of, read_calendar
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table
from orchestration.settings import Settings

DBT = "dbt_tables"  # step of the features, and folder in which dbt keeps the results of its newest run
SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Tick:
    """One run. Seconds: of the whole run, of each step as Dagster times it, of each body alone."""

    wall_s: float
    steps_s: dict[str, float]
    bodies_s: dict[str, float]
    events: int


def run_tick(job: dg.JobDefinition, instance: dg.DagsterInstance, partition_key: str | None) -> Tick:
    """Run the job once in this process. Raises what its steps raise."""
    with timed_bodies() as bodies:
        began = time.perf_counter()
        result = job.execute_in_process(
            instance=instance, partition_key=partition_key, run_config=SILENT, raise_on_error=True
        )
        wall = time.perf_counter() - began
    steps = {
        str(event.step_key): event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success
    }
    return Tick(wall, steps, dict(bodies), len(result.all_events))


def report(ticks: Sequence[Tick]) -> dict[str, Any]:
    """Medians over ticks, and all wall times."""
    wall = series([tick.wall_s for tick in ticks], "s")
    bodies = series([sum(tick.bodies_s.values()) for tick in ticks], "s")
    medians = _medians([tick.bodies_s for tick in ticks])
    total = sum(medians.values())
    overhead = series([tick.wall_s - sum(tick.bodies_s.values()) for tick in ticks], "s")
    return {
        "ticks": len(ticks),
        "wall_time": wall,
        "sum_of_bodies": bodies,
        "dagster_overhead": overhead,
        "wall_time_to_sum_of_bodies": ratio(wall["value"], bodies["value"]),
        "body_of_each_step": figures(_slowest_first(medians), "s"),
        "share_of_bodies": figures(_slowest_first({step: 100 * s / total for step, s in medians.items()}), "%"),
        "each_step_as_dagster_times_it": figures(_medians([tick.steps_s for tick in ticks]), "s"),
        "events_of_a_tick": figure(median(tick.events for tick in ticks), "events"),
    }


def measure(settings: Settings, database_url: str, count: int, numbers: bool) -> dict[str, Any]:
    """`count` ticks an hour apart, after one that warms up; 0: that one alone is told.

    The workspace is prepared and its market is stored.

    Raises Unmeasured when the tick that warms up issues no score or, if `numbers`, none with a number.
    """
    with quiet.libraries():
        began = time.perf_counter()
        job = build_definitions(settings).resolve_job_def(HOURLY_REFRESH)
        loading = time.perf_counter() - began
        warehouse = Warehouse.connect(database_url)
        ticks: list[Tick] = []
        with dg.DagsterInstance.get() as instance:
            for _ in range(count + 1):
                advance(database_url)
                ticks.append(run_tick(job, instance, _week(settings, warehouse)))
                scored = _scored(warehouse, numbers)
        told = {
            "history": _history(warehouse),
            "last_tick": scored,
            **report(ticks[1:] or ticks),
            "dbt_of_the_last_tick": {
                "body": figure(ticks[-1].bodies_s[DBT], "s"),
                **dbt_nodes.report(target_folder(settings) / DBT / "run_results.json"),
            },
            "warm_up_tick": figure(ticks[0].wall_s, "s"),
            "loading_definitions": figure(loading, "s"),
            "week": _week(settings, warehouse),
        }
        warehouse.close()
    return told


def _week(settings: Settings, warehouse: Warehouse) -> str:
    now = warehouse.clock().anchor
    assert now is not None  # the clock of a simulated market stands
    return partition_of(now, read_calendar(settings))


def _medians(ticks: Sequence[dict[str, float]]) -> dict[str, float]:
    return {step: median(tick.get(step, 0.0) for tick in ticks) for step in ticks[-1]}


def _slowest_first(seconds: dict[str, float]) -> dict[str, float]:
    return dict(sorted(seconds.items(), key=lambda step: -step[1]))


def _scored(warehouse: Warehouse, numbers: bool) -> dict[str, Any]:
    """What the newest tick gave out: a tick that scores nothing would be fast for the wrong reason."""
    rows = warehouse.rows(
        f"select count(*) as issued, count(score) as numbers from {RISK_SCORES} "
        f"join {OPS_MARKET} on issued_at = clock_anchor"
    )
    issued, with_number = rows[0]["issued"], rows[0]["numbers"]
    if not (with_number if numbers else issued):
        raise Unmeasured(f"the tick issued {issued} scores, {with_number} of them with a number: nothing to measure")
    return {"scores": figure(issued, "scores"), "scores_with_a_number": figure(with_number, "scores")}


def _history(warehouse: Warehouse) -> dict[str, Any]:
    """How much there is to look at: rows of all raw tables, days of candles."""
    counts = " union all ".join(f"select count(*) as n from {raw_table(dataset)}" for dataset in keys.INGESTED)
    rows = warehouse.rows(f"select sum(n) as n from ({counts}) as counted")[0]["n"]
    span = "select extract(epoch from max(ts) - min(ts)) / 86400 as days from raw.candles"
    days = warehouse.rows(span)[0]["days"]
    return {
        "raw_rows": figure(float(rows), "rows"),
        "candles_span": figure(math.nan if days is None else float(days), "days"),
    }
