"""Housekeeping: the event log is the one thing that grows without being asked to (dagster#33785)."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from models.contracts import jobs as names
from orchestration.partitions import read_calendar, write_calendar
from orchestration.resources.workspace import Workspace

# Wall days. Hourly runs are the bulk; the tables of `ops` keep what a run did for good.
KEPT = timedelta(days=30)
AT_ONCE = 500  # runs deleted in one go: a minute of work, the next day takes the rest
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def outdated(instance: dg.DagsterInstance, wall: datetime) -> list[str]:
    """Ids of ended runs older than KEPT, oldest first, at most AT_ONCE."""
    old = instance.get_runs(dg.RunsFilter(statuses=_ENDED, created_before=wall - KEPT), limit=AT_ONCE, ascending=True)
    return [run.run_id for run in old]


@dg.op(name="tidy")
def tidy(context: dg.OpExecutionContext, workspace: Workspace) -> None:
    """Delete outdated runs with their events, and move the end of the calendar ahead of the market's clock."""
    runs = outdated(context.instance, datetime.now(UTC))
    for run_id in runs:
        context.instance.delete_run(run_id)
    settings = workspace.settings
    start = datetime.combine(read_calendar(settings).start, datetime.min.time(), tzinfo=UTC)
    calendar = write_calendar(settings, start, workspace.now())
    context.log.info(f"{len(runs)} runs deleted; the calendar ends {calendar.end or 'with the wall clock'}")


@dg.job(name=names.HOUSEKEEPING, executor_def=dg.in_process_executor)
def housekeeping() -> None:
    """Old runs leave the event log; a restarted stack finds a calendar that reaches further."""
    tidy()
