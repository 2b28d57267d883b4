"""DAGSTER_HOME of a market: `dagster.yaml` and the workspace file, generated, never edited by hand.

Here: what the instance is told and why. Which assets and schedules exist is `orchestration.definitions`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from models.contracts.log_lines import LOGGERS
from orchestration.folders import dagster_home
from orchestration.local.files import replace_text
from orchestration.settings import Settings

CODE_LOCATION = "ballast"
MAX_CONCURRENT_RUNS = 4  # each run holds about five connections; see the budget in orchestration.local.database

# Explicit limits only: a default limit for all pools wedged runs (dagster#33054).
POOL_LIMITS = {"dbt": 1, "keeper": 1}  # two dbt runs deadlock on DDL (dbt-core#2801); one signer at a time


def dagster_yaml(settings: Settings) -> dict[str, Any]:
    """Contents of `dagster.yaml`. The database URL stays in the environment: it may hold a password."""
    del settings  # the same for every market: what differs is in the environment
    return {
        "storage": {"postgres": {"postgres_url": {"env": "BALLAST_DAGSTER_URL"}}},
        # One process a run, started by the code server: a crash or a memory limit ends one run and nothing else,
        # and numerical libraries are never loaded into the process that answers sensors and schedules.
        "run_launcher": {"module": "dagster", "class": "DefaultRunLauncher", "config": {}},
        "run_coordinator": {
            "module": "dagster._core.run_coordinator.queued_run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        },
        "concurrency": {
            "runs": {"max_concurrent_runs": MAX_CONCURRENT_RUNS},
            # Whole runs wait in the queue instead of holding slots: a killed run then leaves no slot behind.
            "pools": {"granularity": "run"},
        },
        # A dead worker leaves its run STARTED for ever otherwise (dagster#4993).
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "cancel_timeout_seconds": 60,
            "poll_interval_seconds": 30,
            "max_resume_run_attempts": 0,
            "free_slots_after_run_end_seconds": 60,
        },
        "run_retries": {"enabled": False},  # a run may have sent a transaction: only assets decide what is repeated
        "retention": {
            "schedule": {"purge_after_days": {"skipped": 7, "success": 30, "failure": 90, "started": 30}},
            "sensor": {"purge_after_days": {"skipped": 2, "success": 14, "failure": 90, "started": 14}},
        },
        "code_servers": {"local_startup_timeout": 180, "reload_timeout": 180},
        # Lines of our own loggers become lines of the run that wrote them: with its id, job and step.
        "python_logs": {"managed_python_loggers": [LOGGERS], "python_log_level": "INFO"},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def workspace_yaml(settings: Settings) -> dict[str, Any]:
    """One code server for the UI and the daemon: each would load the definitions by itself otherwise."""
    server = {"host": settings.code_host, "port": settings.code_port, "location_name": CODE_LOCATION}
    return {"load_from": [{"grpc_server": server}]}


def write_home(settings: Settings) -> Path:
    """Create or refresh the folder and return it."""
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    for name, content in (("dagster.yaml", dagster_yaml(settings)), ("workspace.yaml", workspace_yaml(settings))):
        text = yaml.safe_dump(content, sort_keys=False)
        target = home / name
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            replace_text(target, text)
    return home
