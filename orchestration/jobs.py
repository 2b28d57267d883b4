"""Jobs: which assets run together. When they run is `schedules` and `sensors`, how often is `cadence`.

All of them run in one process: twenty trivial assets took 95 s in a process each and 1.7 s in one, and the heavy
libraries cost seconds an import. On Kubernetes each step of a training may have a pod (`BALLAST_STEPS`): these steps
take minutes and gigabytes, and one that is killed ends alone. A job is a process of its own, so training never shares
one with the hourly tick.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from models.contracts import jobs as names
from orchestration import keys

# The parts of `make run`: views of the software that is installed, weeks of history in one run, then everything else
# once. One run over all would log a planned event for each asset and week, also for assets without weeks: 10 ms each,
# minutes in all.
DEPLOY = "deploy"
FEATURES = "features"
INGEST = "ingest"
PLAY = "play"

_LOGGING: dict[str, Any] = {"loggers": {"console": {"config": {}}}}  # the level is that of BALLAST_LOG_LEVEL


def _groups(*groups: str) -> dg.AssetSelection:
    return dg.AssetSelection.groups(*groups)


def training_executor(steps: str) -> dg.ExecutorDefinition:
    """What runs the steps of a training: `process`, one after another in the run's own, or `pods`, each in one."""
    if steps == "pods":
        from dagster_k8s import k8s_job_executor  # only in the image for Kubernetes

        executor: dg.ExecutorDefinition = k8s_job_executor
        return executor
    return dg.in_process_executor


def asset_jobs(
    dbt_hourly: dg.AssetSelection, dbt_deploy: dg.AssetSelection, steps: str
) -> list[dg.UnresolvedAssetJobDefinition]:
    """Jobs over assets. `dbt_hourly`: the dbt models that change with the data; `dbt_deploy`: with the software.
    `steps`: as `training_executor` reads it."""
    ingest = dg.AssetSelection.assets(*keys.INGEST_KEYS)
    training = _groups(keys.TRAINING)
    scoring = _groups(keys.SCORING)
    keeper = _groups(keys.KEEPER)
    refresh = _groups(keys.QUALITY) | dbt_hourly | dg.AssetSelection.checks_for_assets(keys.VOLATILITY_FEATURES)

    def job(
        name: str,
        selection: dg.AssetSelection,
        description: str,
        executor: dg.ExecutorDefinition = dg.in_process_executor,
    ) -> dg.UnresolvedAssetJobDefinition:
        return dg.define_asset_job(
            name,
            selection=selection,
            description=description,
            config=_LOGGING,
            executor_def=executor,
        )

    return [
        job(names.HOURLY_REFRESH, ingest | refresh | scoring, "Fetch, check, build features, score, propose targets."),
        job(
            names.TRAINING,
            training,
            "Evaluate all models walk-forward, fit, register, and let the gate choose.",
            training_executor(steps),
        ),
        job(names.KEEPER, keeper, "Read the vaults, decide, act, follow the transaction. Asked for by the sensor."),
        job(DEPLOY, dbt_deploy, "Make the views of the installed software; they do not change with the data."),
        job(FEATURES, dbt_hourly, "Build the tables of features and their views, as the hourly refresh does."),
        job(INGEST, ingest, "Fetch weeks of history in one run; also what a backfill in the UI does."),
        job(PLAY, refresh | training | scoring | keeper, "Everything below the raw tables, once: `make run`."),
    ]
