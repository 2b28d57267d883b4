"""What of a dbt command its models and tests took, as dbt itself wrote it down in its newest run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestration.bench.figures import figure, figures

_SHOWN = 10  # the slowest ones; the others are there as a sum


def report(results: Path) -> dict[str, Any]:
    """Of `run_results.json`: seconds of the slowest nodes, of all nodes, and from dbt's start of the run to its end.

    Two threads work at once, so the nodes can add up to more than the run took.
    """
    told = json.loads(results.read_text(encoding="utf-8"))
    seconds = {_name(node["unique_id"]): float(node["execution_time"]) for node in told["results"]}
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:_SHOWN]
    return {
        "nodes": figure(len(seconds), "models and tests"),
        "sum_of_nodes": figure(sum(seconds.values()), "s"),
        "run": figure(float(told["elapsed_time"]), "s"),
        "slowest": figures({name: seconds[name] for name in slowest}, "s"),
    }


def _name(unique_id: str) -> str:
    """`model.ballast.volatility` -> `volatility`; a test keeps its name without the digest behind it."""
    return unique_id.split(".")[2]
