"""Schedules: the spine ticks on market time. Schedules, not automation conditions: `eager()` below a partitioned
parent never fires while any old week is missing.

Bodies read the clock and ask for a run; they import nothing heavy and talk to no network. The one of alerts also judges
the tables, so that neither a full queue nor a hanging run keeps an alert from being noticed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from keeper.intent import OPEN, IntentState
from models.contracts import jobs as names
from models.contracts.market import DataMode
from models.contracts.tables import KEEPER_INTENTS
from orchestration.cadence import DAY, HOUR, WEEK, cron_for
from orchestration.partitions import Calendar, partition_of, weekly_partitions
from orchestration.resources.workspace import Workspace
from orchestration.settings import Settings, SettingsError

RECONCILE_CRON = "* * * * *"  # wall minutes: a transaction waits for ledgers, and ledgers know no market time

# A case that waits for a human is not looked at each minute for ever.
_FOLLOWED = sorted(OPEN - {IntentState.NEEDS_HUMAN})


def market_speed(settings: Settings) -> float:
    """Market seconds per wall second; a live market has no other clock than the wall."""
    return 1.0 if settings.market.mode is DataMode.LIVE else settings.clock_speed


def refresh_request(now: datetime, calendar: Calendar, busy: bool) -> dg.RunRequest | dg.SkipReason:
    """What an hourly tick asks for at market time `now`. `busy`: an earlier refresh has not ended."""
    if busy:
        return dg.SkipReason("the last refresh still runs; the next tick takes its hour along")
    week = partition_of(now, calendar)
    if not weekly_partitions(calendar).has_partition_key(week):
        return dg.SkipReason(f"the calendar of this market ends before {week}: restart the stack to extend it")
    return dg.RunRequest(partition_key=week)


def unfinished(instance: dg.DagsterInstance, jobs: Sequence[str]) -> bool:
    """Whether a run of one of the jobs is queued or running."""
    active = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    return any(instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=active)) for job in jobs)


def schedules(settings: Settings, calendar: Calendar) -> list[dg.ScheduleDefinition]:
    """All schedules, running as soon as the daemon does."""
    speed = market_speed(settings)

    @dg.schedule(
        name="hourly_refresh_schedule",
        job_name=names.HOURLY_REFRESH,
        cron_schedule=cron_for(HOUR, speed),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="A run for each market hour, in the week in which the market's clock stands.",
    )
    def hourly(context: dg.ScheduleEvaluationContext, workspace: Workspace) -> dg.RunRequest | dg.SkipReason:
        busy = unfinished(context.instance, [names.HOURLY_REFRESH])
        return refresh_request(workspace.now(), calendar, busy)

    @dg.schedule(
        name="training_schedule",
        job_name=names.TRAINING,
        cron_schedule=cron_for(WEEK, speed),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Once a market week. Unchanged data, code and configuration reuse the stored evaluation.",
    )
    def training(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if unfinished(context.instance, [names.TRAINING]):
            return dg.SkipReason("the last training still runs")
        return dg.RunRequest()

    @dg.schedule(
        name="keeper_reconcile_schedule",
        job_name=names.KEEPER_RECONCILE,
        cron_schedule=RECONCILE_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Each minute. A run is asked for only while a transaction waits for its end.",
    )
    def reconcile(context: dg.ScheduleEvaluationContext, workspace: Workspace) -> dg.RunRequest | dg.SkipReason:
        if unfinished(context.instance, [names.KEEPER, names.KEEPER_RECONCILE]):
            return dg.SkipReason("the keeper is at work")
        return reconcile_request(workspace)

    @dg.schedule(
        name="alerts_schedule",
        job_name=names.ALERTS,
        cron_schedule=RECONCILE_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Each minute, also while the keeper works. A run is asked for only when somebody is to be told.",
    )
    def alerts(context: dg.ScheduleEvaluationContext, workspace: Workspace) -> dg.RunRequest | dg.SkipReason:
        return alerts_request(workspace, unfinished(context.instance, [names.ALERTS]))

    @dg.schedule(
        name="housekeeping_schedule",
        job_name=names.HOUSEKEEPING,
        cron_schedule=cron_for(DAY, speed, minute=40),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Once a market day: old runs leave the event log.",
    )
    def housekeeping(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if unfinished(context.instance, [names.HOUSEKEEPING]):
            return dg.SkipReason("the last housekeeping still runs")
        return dg.RunRequest()

    return [hourly, training, reconcile, alerts, housekeeping]


def reconcile_request(workspace: Workspace) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run if an intent is open. If none is, that is the whole job: it is noted as done, without a process."""
    waiting = workspace.warehouse.rows(
        f"select count(*) as n from {KEEPER_INTENTS} where state = any(:followed)", {"followed": _FOLLOWED}
    )
    if waiting[0]["n"]:
        return dg.RunRequest()
    _note_done(workspace, names.KEEPER_RECONCILE, "nothing open")
    return dg.SkipReason("no transaction is open")


def alerts_request(workspace: Workspace, busy: bool) -> dg.RunRequest | dg.SkipReason:
    """Judge the tables and tell the channels of this machine; ask for a run if one beyond it, or a webhook, is to be
    told something.

    `busy`: the last run still tells. Raises SettingsError for channels that are not set up rightly, after judging.
    """
    # The channels and their clients: half a second that other schedules need not pay.
    from orchestration.alerts.checking import judge
    from orchestration.alerts.config import LOG_ALONE, alert_config
    from orchestration.alerts.delivery import deliver, has_messages
    from orchestration.webhooks.delivery import has_events

    config, wrong, tables = LOG_ALONE, None, workspace.warehouse
    try:
        config = alert_config(workspace.settings)
    except SettingsError as error:
        wrong = error  # a slip in a variable blinds nobody
    changed = judge(workspace, config, datetime.now(UTC))
    deliver(tables, config, workspace.settings.market.name, lambda: datetime.now(UTC), only_local=True)
    if wrong is not None:
        raise wrong
    _note_done(workspace, names.ALERTS, "judged")
    if busy:
        return dg.SkipReason("the last messages are still being sent")
    wall = datetime.now(UTC)
    if has_messages(tables, config, wall) or has_events(tables, wall):
        return dg.RunRequest(tags={"dagster/priority": "10"})  # ahead of whatever fills the queue
    return dg.SkipReason(f"{len(changed)} changes, nobody beyond this machine is to be told now")


def _note_done(workspace: Workspace, job: str, run_id: str) -> None:
    """A tick that needed no run, as the end of a run: one row, written anew each time."""
    wall = datetime.now(UTC)
    workspace.warehouse.record_job_run(
        job, run_id, ok=True, started_at=wall, finished_at=wall, market_time=workspace.now()
    )
