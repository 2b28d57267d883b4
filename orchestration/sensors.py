"""Sensors: a new target asks for the keeper, a drift for training, a run that waits for its job; each end of a job is
written down.

Bodies read one row and build a request: no chain, no HTTP, no model. A sensor that is asked twice asks twice for the
same key, and the unique keys of `keeper.decisions` stand behind it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from models.contracts import jobs as names
from models.contracts.tables import ML_DRIFT_ALARMS, OPS_JOB_RUNS, RISK_TARGET_ALLOCATIONS
from models.drift.alarms import RETRAIN_KINDS
from orchestration.cadence import HOUR
from orchestration.resources.runs import registry_of
from orchestration.resources.workspace import Workspace
from orchestration.schedules import market_speed, unfinished
from orchestration.settings import Settings

_log = logging.getLogger("ballast.jobs")

_NEWEST_TARGETS = f"""
    select distinct on (vault_id) vault_id, policy_version, as_of, model_version, valid_until
    from {RISK_TARGET_ALLOCATIONS} order by vault_id, as_of desc, id desc
"""

_NEWEST_DRIFT = f"""
    select id, subject, kind, detected_at, (
        select max(market_time) from {OPS_JOB_RUNS} where job = :training and ok
    ) as trained_at
    from {ML_DRIFT_ALARMS} where kind = any(:kinds) order by id desc limit 1
"""
# Of market time. The weekly training has seen an older alarm's data, whatever came of it.
DRIFT_STALE_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """The newest target of one vault."""

    vault_id: str
    policy_version: str
    as_of: datetime
    model_version: str
    valid_until: datetime

    @property
    def run_key(self) -> str:
        """A re-materialised hour has the same key: it must not act twice. A new model may say something new."""
        return f"{self.vault_id}:{self.policy_version}:{self.as_of.astimezone(UTC).isoformat()}:{self.model_version}"


def keeper_requests(
    targets: Sequence[TargetRow], seen: str | None, now: datetime
) -> tuple[list[dg.RunRequest] | dg.SkipReason, str]:
    """What the keeper is asked for, given the newest target of each vault; `seen`: the cursor of the last tick.

    One run looks at all vaults, so one new and unexpired target is enough; its key names the newest of them.
    """
    cursor = ",".join(sorted(target.run_key for target in targets))
    if not targets:
        return dg.SkipReason("there is no target yet"), cursor
    if cursor == seen:
        return dg.SkipReason("no target is newer than the last one looked at"), cursor
    fresh = [t for t in targets if t.valid_until > now and (seen is None or t.run_key not in seen.split(","))]
    if not fresh:
        oldest = min(t.valid_until for t in targets)
        return dg.SkipReason(f"the new targets expired at {oldest.isoformat()}, market time"), cursor
    newest = max(fresh, key=lambda t: (t.as_of, t.vault_id))
    tags = {"ballast/vaults": ",".join(sorted(t.vault_id for t in fresh))}
    return [dg.RunRequest(run_key=newest.run_key, tags=tags)], cursor


def read_targets(workspace: Workspace) -> list[TargetRow]:
    return [TargetRow(**row) for row in workspace.warehouse.rows(_NEWEST_TARGETS)]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """The newest alarm that a new model can answer, and when training last succeeded (market time)."""

    id: int
    subject: str
    kind: str
    detected_at: datetime
    trained_at: datetime | None

    @property
    def run_key(self) -> str:
        return f"{self.kind}:{self.subject}:{self.detected_at.astimezone(UTC).isoformat()}"


def training_requests(newest: DriftRow | None, seen: str | None, now: datetime) -> dg.RunRequest | dg.SkipReason:
    """What an alarm asks for: one training, whatever else was raised since the last look; it fits all series.

    `seen`: the cursor of the last tick, the id of the alarm it looked at.
    """
    if newest is None:
        return dg.SkipReason("no alarm asks for training")
    if seen is not None and newest.id <= int(seen):
        return dg.SkipReason("no alarm is newer than the last one looked at")
    if newest.trained_at is not None and newest.trained_at >= newest.detected_at:
        return dg.SkipReason(f"training has succeeded since the alarm of {newest.detected_at.isoformat()}")
    if newest.detected_at <= now - DRIFT_STALE_AFTER:
        return dg.SkipReason(f"the alarm of {newest.detected_at.isoformat()} is over a week old, market time")
    tags = {"ballast/drift": f"{newest.kind} {newest.subject}"}
    return dg.RunRequest(run_key=newest.run_key, tags=tags)


def read_drift(workspace: Workspace) -> DriftRow | None:
    kinds = [kind.value for kind in RETRAIN_KINDS]
    rows = workspace.warehouse.rows(_NEWEST_DRIFT, {"training": names.TRAINING, "kinds": kinds})
    return DriftRow(**rows[0]) if rows else None


def is_waiting(workspace: Workspace) -> bool:
    """Whether a run waits, or is said to be computed: without a job, its process died and the next job ends it."""
    return bool(registry_of(workspace.warehouse).open(1))


def runs_request(waiting: bool, busy: bool) -> dg.RunRequest | dg.SkipReason:
    """What the queue of runs asks for. `busy`: the job has not ended; it looks at the queue again before it does."""
    if not waiting:
        return dg.SkipReason("no run waits")
    return dg.SkipReason("the job still computes") if busy else dg.RunRequest()


def sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """All sensors, running as soon as the daemon does."""
    # Four looks in a market hour, so that a sped-up clock does not expire a target before the keeper sees it.
    wall_hour_s = HOUR.total_seconds() / market_speed(settings)

    @dg.sensor(
        name="new_target_sensor",
        job_name=names.KEEPER,
        minimum_interval_seconds=int(min(30, max(5, wall_hour_s / 4))),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A new row of risk.target_allocations asks for one run of the keeper.",
    )
    def new_target(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult | dg.SkipReason:
        found, cursor = keeper_requests(read_targets(workspace), context.cursor, workspace.now())
        if isinstance(found, dg.SkipReason):
            return dg.SensorResult(skip_reason=found, cursor=cursor)
        return dg.SensorResult(run_requests=found, cursor=cursor)

    @dg.sensor(
        name="retraining_sensor",
        job_name=names.TRAINING,
        minimum_interval_seconds=int(min(300, max(30, wall_hour_s / 2))),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A new alarm of volatility or performance in ml.drift_alarms asks for one training.",
    )
    def retraining(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult | dg.SkipReason:
        newest = read_drift(workspace)
        found = training_requests(newest, context.cursor, workspace.now())
        if unfinished(context.instance, [names.TRAINING]):
            return dg.SkipReason("a training still runs")  # the cursor stays: the alarm is looked at again
        cursor = context.cursor if newest is None else str(newest.id)
        if isinstance(found, dg.SkipReason):
            return dg.SensorResult(skip_reason=found, cursor=cursor)
        return dg.SensorResult(run_requests=[found], cursor=cursor)

    @dg.sensor(
        name="requested_runs_sensor",
        job_name=names.REQUESTED_RUNS,
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A run that waits in risk.runs asks for the job that computes all of them.",
    )
    def requested(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.RunRequest | dg.SkipReason:
        # No run key: a job that died leaves its run waiting or cut off, and the next one goes on.
        return runs_request(is_waiting(workspace), unfinished(context.instance, [names.REQUESTED_RUNS]))

    ends = [_job_end_sensor(name, status) for name, status in _ENDS.items()]
    return [new_target, retraining, requested, *ends, *([_metrics_sensor()] if settings.metrics else [])]


def _metrics_sensor() -> dg.SensorDefinition:
    @dg.sensor(
        name="metrics_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Leaves the metrics of the jobs where BALLAST_METRICS says; asks for no run.",
    )
    def metrics(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SkipReason:
        from orchestration.metrics.publish import publish
        from orchestration.metrics.reading import read_metrics

        target = workspace.settings.metrics
        assert target is not None  # or there were no such sensor
        publish(read_metrics(workspace.warehouse, datetime.now(UTC)), target, workspace.settings.market.name)
        return dg.SkipReason(f"metrics: {target}")

    return metrics


_ENDS = {
    "job_succeeded_sensor": dg.DagsterRunStatus.SUCCESS,
    "job_failed_sensor": dg.DagsterRunStatus.FAILURE,
    "job_canceled_sensor": dg.DagsterRunStatus.CANCELED,
}


def _job_end_sensor(name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=name,
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Writes the end of each job to ops.job_runs, also of one whose process was killed; a failure of "
        "any job raises an alert, a success ends it.",
    )
    def ended(context: dg.RunStatusSensorContext, workspace: Workspace) -> None:
        log_end(context.dagster_run, error_of(context))  # first: the database may be what is away
        if context.dagster_run.job_name in names.ALLOWED_AGE_S:  # a backfill by hand is no beat of the market
            record_end(workspace, context.instance, context.dagster_run, error_of(context))
        note_end(workspace, context.dagster_run, error_of(context))

    return ended


def error_of(context: dg.RunStatusSensorContext) -> str | None:
    """One line about a failure: the first line of what Dagster says."""
    event = context.dagster_event
    return event.message.splitlines()[0][:500] if event is not None and event.message else None


def record_end(workspace: Workspace, instance: dg.DagsterInstance, run: dg.DagsterRun, error: str | None) -> None:
    """One row of ops.job_runs; the same run again replaces its row."""
    record = instance.get_run_record_by_id(run.run_id)
    ended = _moment(record.end_time if record else None)
    workspace.warehouse.record_job_run(
        run.job_name,
        run.run_id,
        ok=run.status is dg.DagsterRunStatus.SUCCESS,
        started_at=_moment(record.start_time if record else None),
        finished_at=ended,
        market_time=workspace.clock().now(ended),
        error_text=None if run.status is dg.DagsterRunStatus.SUCCESS else error,
    )


def note_end(workspace: Workspace, run: dg.DagsterRun, error: str | None) -> None:
    """Raise or end the alert about failed runs of a job. A run that somebody cancelled says nothing."""
    from orchestration.alerts.checking import note_run  # with the clients of channels: half a second

    if run.status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE):
        ok = run.status is dg.DagsterRunStatus.SUCCESS
        note_run(workspace, run.job_name, run.run_id, ok, error, datetime.now(UTC))


def log_end(run: dg.DagsterRun, error: str | None) -> None:
    """One line of the log for the end of any run, also of one whose process could write none."""
    failed = run.status is dg.DagsterRunStatus.FAILURE
    fields = {"run_id": run.run_id, "job": run.job_name, "status": run.status.value.lower()}
    told = {**fields, "reason": error} if failed else fields
    _log.log(logging.ERROR if failed else logging.INFO, "job %s ended", run.job_name, extra={"fields": told})


def _moment(timestamp: float | None) -> datetime:
    return datetime.now(UTC) if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
