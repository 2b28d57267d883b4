from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration.resources.workspace import Workspace
from orchestration.sensors import TargetRow, keeper_requests, record_end

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MIXED = TargetRow("mixed", "onoff-1", NOW - timedelta(minutes=30), "3", NOW + timedelta(hours=1))
OTHER = TargetRow("other", "onoff-1", NOW - timedelta(hours=1), "3", NOW + timedelta(hours=1))
KEY = "mixed:onoff-1:2026-01-01T11:30:00+00:00:3"


def asked(targets: list[TargetRow], seen: str | None) -> list[str | None] | str:
    found, _ = keeper_requests(targets, seen, NOW)
    return str(found.skip_message) if isinstance(found, dg.SkipReason) else [request.run_key for request in found]


@pytest.mark.parametrize(
    ("targets", "seen", "expected"),
    [
        pytest.param([MIXED], None, [KEY], id="first"),
        pytest.param([MIXED], KEY, "no target is newer than the last one looked at", id="nothing-new"),
        pytest.param([replace(MIXED, model_version="4")], KEY, [KEY[:-1] + "4"], id="new-model"),
        pytest.param([OTHER, MIXED], None, [KEY], id="newest-wins-and-one-run-serves-all"),
        pytest.param([], None, "there is no target yet", id="no-target"),
        pytest.param([], KEY, "there is no target yet", id="vaults-removed"),
        pytest.param(
            [replace(MIXED, valid_until=NOW)],
            None,
            "the new targets expired at 2026-01-01T12:00:00+00:00, market time",
            id="stale",
        ),
    ],
)
def test_a_new_target_asks_for_the_keeper_once(
    targets: list[TargetRow], seen: str | None, expected: list[str] | str
) -> None:
    assert asked(targets, seen) == expected


def test_only_what_is_new_counts() -> None:
    _, cursor = keeper_requests([MIXED, OTHER], None, NOW)
    later = replace(OTHER, as_of=NOW)
    found, _ = keeper_requests([MIXED, later], cursor, NOW)
    assert not isinstance(found, dg.SkipReason)
    assert [(request.run_key, request.tags["ballast/vaults"]) for request in found] == [(later.run_key, "other")]


def test_a_stale_target_is_remembered_as_seen() -> None:
    stale = replace(MIXED, valid_until=NOW - timedelta(hours=1))
    _, cursor = keeper_requests([stale], None, NOW)
    assert asked([stale], cursor) == "no target is newer than the last one looked at"


@pytest.mark.parametrize(
    ("status", "ok", "error"), [(dg.DagsterRunStatus.SUCCESS, True, None), (dg.DagsterRunStatus.FAILURE, False, "why")]
)
def test_the_end_of_a_job_is_written_down_once(
    workspace: Workspace, status: dg.DagsterRunStatus, ok: bool, error: str | None
) -> None:
    @dg.op
    def nothing() -> None: ...

    @dg.job(name="training")
    def training() -> None:
        nothing()

    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(training, status=status)
        for _ in range(2):
            record_end(workspace, instance, run, "why")
    rows = workspace.warehouse.rows("select job, ok, error_text, market_time from ops.job_runs")
    assert rows == [{"job": "training", "ok": ok, "error_text": error, "market_time": workspace.now()}]
