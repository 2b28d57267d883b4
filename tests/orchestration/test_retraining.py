"""A drift asks for one training: first, nothing new, newest wins, trained since, stale, none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from models.contracts.tables import ML_DRIFT_ALARMS
from orchestration.resources.workspace import Workspace
from orchestration.sensors import DriftRow, read_drift, sensors, training_requests
from orchestration.settings import load_settings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALARM = DriftRow(7, "BTC", "volatility", NOW - timedelta(hours=1), None)
KEY = "volatility:BTC:2026-01-01T11:00:00+00:00"


@pytest.mark.parametrize(
    ("newest", "seen", "expected"),
    [
        pytest.param(ALARM, None, KEY, id="first"),
        pytest.param(ALARM, "6", KEY, id="newer-than-the-last"),
        pytest.param(ALARM, "7", "no alarm is newer than the last one looked at", id="nothing-new"),
        pytest.param(None, None, "no alarm asks for training", id="none"),
        pytest.param(replace(ALARM, trained_at=NOW - timedelta(hours=2)), None, KEY, id="trained-before"),
        pytest.param(
            replace(ALARM, trained_at=NOW),
            None,
            "training has succeeded since the alarm of 2026-01-01T11:00:00+00:00",
            id="trained-since",
        ),
        pytest.param(
            replace(ALARM, detected_at=NOW - timedelta(days=7)),
            None,
            "the alarm of 2025-12-25T12:00:00+00:00 is over a week old, market time",
            id="stale",
        ),
    ],
)
def test_an_alarm_asks_for_training_once(newest: DriftRow | None, seen: str | None, expected: str) -> None:
    found = training_requests(newest, seen, NOW)
    assert (found.skip_message if isinstance(found, dg.SkipReason) else found.run_key) == expected


def _store(workspace: Workspace, kind: str, hours_ago: int) -> None:
    at = workspace.now() - timedelta(hours=hours_ago)
    workspace.warehouse.append_table(
        ML_DRIFT_ALARMS,
        [
            {
                "subject": "BTC", "kind": kind, "detected_at": at, "statistic": 2.0, "threshold": 1.0,
                "per_quarter": 0.5, "window_start": at, "window_end": at, "evidence": {}, "data_mode": "simulated",
            }
        ],
    )  # fmt: skip


def _look(
    workspace: Workspace, instance: dg.DagsterInstance, cursor: str | None
) -> tuple[list[str | None], str | None]:
    (sensor,) = [s for s in sensors(load_settings({})) if s.name == "retraining_sensor"]
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"workspace": workspace}) as context:
        ticked = sensor.evaluate_tick(context)
    return [request.run_key for request in ticked.run_requests or []], ticked.cursor


def test_several_new_alarms_ask_for_one_run_and_feeds_for_none(workspace: Workspace) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert _look(workspace, instance, None) == ([], None)
        _store(workspace, "volatility", 3)
        _store(workspace, "performance", 2)
        _store(workspace, "feed_stale", 1)
        keys, cursor = _look(workspace, instance, None)
        assert keys == [f"performance:BTC:{(workspace.now() - timedelta(hours=2)).isoformat()}"]
        assert _look(workspace, instance, cursor) == ([], cursor)


def test_while_training_runs_the_alarm_waits(workspace: Workspace) -> None:
    @dg.op
    def nothing() -> None: ...

    @dg.job(name="training")
    def training() -> None:
        nothing()

    _store(workspace, "volatility", 1)
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(training, status=dg.DagsterRunStatus.STARTED)
        assert _look(workspace, instance, None) == ([], None)
        instance.report_run_canceled(run)
        keys, _ = _look(workspace, instance, None)
        assert len(keys) == 1


def test_the_last_training_is_read_with_the_alarm(workspace: Workspace) -> None:
    _store(workspace, "residual", 1)
    now = workspace.now()
    workspace.warehouse.record_job_run(
        "training", "r1", ok=True, started_at=now, finished_at=now, market_time=now - timedelta(minutes=5)
    )
    newest = read_drift(workspace)
    assert newest is not None
    assert (newest.kind, newest.trained_at) == ("residual", now - timedelta(minutes=5))
