"""Housekeeping: the event log is the one thing that grows without being asked to (dagster#33785)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from models.contracts import jobs as names
from orchestration.archive import old_runs
from orchestration.archive.parquet import Entry
from orchestration.archive.raw_partitions import copy, old_partitions
from orchestration.partitions import read_calendar, write_calendar
from orchestration.resources.workspace import Workspace

# Wall days. Hourly runs are the bulk; the tables of `ops` keep what a run did for good.
KEPT = timedelta(days=30)
AT_ONCE = 500  # runs deleted in one go: a minute of work, the next day takes the rest


def outdated(instance: dg.DagsterInstance, wall: datetime) -> list[str]:
    """Ids of ended runs older than KEPT, oldest first, at most AT_ONCE."""
    old = instance.get_runs(
        dg.RunsFilter(statuses=old_runs.ENDED, created_before=wall - KEPT), limit=AT_ONCE, ascending=True
    )
    return [run.run_id for run in old]


def archived(
    instance: dg.DagsterInstance, workspace: Workspace, runs: list[str], folder: Path, wall: datetime
) -> list[Entry]:
    """New files of the archive: old years of raw tables, which stay, and the runs that are about to go.

    Raises ArchiveError or OSError before anything is deleted.
    """
    engine = workspace.warehouse.engine
    years = [copy(engine, partition, folder, wall) for partition in old_partitions(engine, wall - KEPT)]
    return [entry for entry in years if entry is not None] + old_runs.copy(instance, runs, folder, wall)


@dg.op(name="tidy")
def tidy(context: dg.OpExecutionContext, workspace: Workspace) -> None:
    """Delete outdated runs with their events, and move the end of the calendar ahead of the market's clock."""
    settings, wall = workspace.settings, datetime.now(UTC)
    runs = outdated(context.instance, wall)
    copied = [] if settings.archive is None else archived(context.instance, workspace, runs, settings.archive, wall)
    for run_id in runs:
        context.instance.delete_run(run_id)
    start = datetime.combine(read_calendar(settings).start, datetime.min.time(), tzinfo=UTC)
    calendar = write_calendar(settings, start, workspace.now())
    end = calendar.end or "with the wall clock"
    context.log.info(f"{len(copied)} files archived, {len(runs)} runs deleted; the calendar ends {end}")


@dg.job(name=names.HOUSEKEEPING, executor_def=dg.in_process_executor)
def housekeeping() -> None:
    """Old runs leave the event log; a restarted stack finds a calendar that reaches further."""
    tidy()
