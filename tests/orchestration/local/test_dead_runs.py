"""Runs of a machine that went down are ended, so that schedules go on; runs that had ended stay as they were."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster import DagsterRunStatus as Status

from orchestration.local.dead_runs import end_dead_runs


@dg.job
def hourly() -> None: ...


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        (Status.STARTED, True),
        (Status.STARTING, True),
        (Status.NOT_STARTED, True),
        (Status.CANCELING, True),
        (Status.SUCCESS, False),
        (Status.CANCELED, False),
    ],
)
def test_only_what_seems_to_run(status: Status, ended: bool) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(hourly, status=status)
        assert end_dead_runs(instance) == int(ended)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is (Status.FAILURE if ended else status)
        assert end_dead_runs(instance) == 0
