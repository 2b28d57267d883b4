"""Runs whose process is gone: after a crash of the machine nobody is left to say so, and they seem to run for ever.

Only for a caller that holds the workspace and has ended all its processes: then nothing can still be running. A run
that waits in the queue is not dead; the daemon starts it.
"""

from __future__ import annotations

import dagster as dg

_ALIVE = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_dead_runs(instance: dg.DagsterInstance) -> int:
    """Mark them failed; returns how many. A schedule that waits for its last run goes on again."""
    dead = instance.get_runs(dg.RunsFilter(statuses=_ALIVE))
    for run in dead:
        instance.report_run_failed(run, "the process of this run was ended before the run was")
    return len(dead)
