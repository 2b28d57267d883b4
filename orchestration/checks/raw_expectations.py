"""Blocking checks of the raw tables: Great Expectations over what a run has just fetched.

A tick reads only its week. Rows that quarantine holds or marks are left out: they are dealt with, and a check that
failed for a known typing error of a central bank would stop the market for good.
"""

from datetime import datetime
from typing import Any

import dagster as dg

from models.contracts.market import Dataset
from models.contracts.tables import RAW_QUARANTINE
from orchestration import keys
from orchestration.checks.expectations import Verdict, columns_of, judge
from orchestration.partitions import WEEK, Calendar, read_calendar, window_of
from orchestration.resources.warehouse_append import raw_table
from orchestration.resources.workspace import Workspace


def raw_checks() -> list[dg.AssetChecksDefinition]:
    """One blocking check for each ingested dataset."""
    return [_raw_check(dataset) for dataset in keys.INGESTED]


def _raw_check(dataset: Dataset) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.key_of(raw_table(dataset)),
        name="expectations",
        blocking=True,
        description="Great Expectations suite over the newest revisions of the window, without quarantined rows.",
    )
    def expectations(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
        start, end = window(context, workspace)
        return as_result(judge(dataset, newest_revisions(workspace, dataset, start, end), workspace.mode))

    return expectations


def window(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> tuple[Any, Any]:
    """What the run may have fetched; run by hand without weeks, the last week of the market."""
    if context.has_partition_key or context.has_partition_key_range:
        weeks = context.partition_time_window
        return reach(weeks.start, weeks.end, read_calendar(workspace.settings))
    now = workspace.now()
    return now - WEEK, now + WEEK


def reach(start: datetime, end: datetime, calendar: Calendar) -> tuple[datetime | None, datetime]:
    """Where rows of a run over the weeks [start, end) may lie: the first week takes all history, and ticks of a week
    reach into the one before it (see `assets.ingest`)."""
    fetched = window_of(start, end, calendar)
    return None if fetched.start is None else fetched.start - WEEK, fetched.end


def newest_revisions(workspace: Workspace, dataset: Dataset, start: Any, end: Any) -> Any:
    """What features would read of the window: newest revision of each row that is not in quarantine."""
    columns = ", ".join(f"r.{name}" for name in columns_of(dataset))
    return workspace.warehouse.read(
        f"select distinct on (r.series, r.interval, r.ts) r.series, r.interval, r.ts, {columns} "
        f"from {raw_table(dataset)} r where r.ts >= coalesce(:start, '-infinity'::timestamptz) and r.ts < :end "
        "and not exists ("
        f"select from {RAW_QUARANTINE} q where q.dataset = :dataset and q.series = r.series and q.ts = r.ts "
        "and (q.interval is null or q.interval = r.interval)) "
        "order by r.series, r.interval, r.ts, r.available_at desc, r.seq desc",
        {"start": start, "end": end, "dataset": dataset.value},
    )


def as_result(verdict: Verdict) -> dg.AssetCheckResult:
    """Counts, and the first offenders of each expectation that does not hold."""
    lines = [
        f"- **{v.expectation}** ({', '.join(v.columns)}): {v.count} rows\n" + "\n".join(f"  - {o}" for o in v.offenders)
        for v in verdict.violations
    ]
    return dg.AssetCheckResult(
        passed=not verdict.violations,
        metadata={
            "rows": verdict.rows,
            "expectations": verdict.expectations,
            "missed": len(verdict.violations),
            **({"offenders": dg.MetadataValue.md("\n".join(lines))} if lines else {}),
        },
    )
