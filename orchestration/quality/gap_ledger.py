"""What `ops.gaps` knows: reading what was found before, writing what became of a gap. One series at a time.

A gap that is filled in parts is replaced by its parts, so that every row is either wholly filled or wholly missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from sqlalchemy import Connection, text

from models.contracts.market import Dataset, SeriesSpec
from models.contracts.tables import OPS_GAP_SCANS, OPS_GAPS, OPS_SERIES
from models.timeseries.calendars import IRREGULAR
from models.timeseries.gaps import Gap, fill_runs
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table
from orchestration.resources.warehouse_tables import read_frame


@dataclass(frozen=True, slots=True)
class Coverage:
    """First and last row of a series, and how far scans have come."""

    oldest: datetime | None = None
    newest: datetime | None = None
    scanned_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownGap:
    gap: Gap
    status: str  # open | fixed | absent_at_source


def coverage(warehouse: Warehouse, dataset: Dataset) -> dict[tuple[str, str], Coverage]:
    """Coverage of every catalogued series of a dataset, by (series, interval): index look-ups, no table scan."""
    rows = warehouse.rows(
        f"""
        select s.id, s.interval, oldest.ts as oldest, newest.ts as newest, scans.scanned_to
        from {OPS_SERIES} as s
        left join lateral (
            select min(ts) as ts from {raw_table(dataset)} where series = s.id and interval = s.interval
        ) as oldest on true
        left join lateral (
            select max(ts) as ts from {raw_table(dataset)} where series = s.id and interval = s.interval
        ) as newest on true
        left join (
            select series, interval, max(scanned_to) as scanned_to from {OPS_GAP_SCANS}
            where dataset = :dataset group by series, interval
        ) as scans on scans.series = s.id and scans.interval = s.interval
        where s.dataset = :dataset
        """,
        {"dataset": dataset.value},
    )
    return {(r["id"], r["interval"]): Coverage(r["oldest"], r["newest"], r["scanned_to"]) for r in rows}


def known_gaps(warehouse: Warehouse, dataset: Dataset) -> dict[tuple[str, str], list[KnownGap]]:
    """Gaps found before that are not filled, by (series, interval), in time order."""
    rows = warehouse.rows(
        f"select series, interval, gap_start, gap_end, missing_slots, status from {OPS_GAPS} "
        "where dataset = :dataset and status <> 'fixed' order by gap_start",
        {"dataset": dataset.value},
    )
    found: dict[tuple[str, str], list[KnownGap]] = {}
    for r in rows:
        gap = Gap(r["gap_start"], r["gap_end"], r["missing_slots"])
        found.setdefault((r["series"], r["interval"]), []).append(KnownGap(gap, r["status"]))
    return found


def times(place: Warehouse | Connection, spec: SeriesSpec, start: datetime | None, end: datetime) -> pd.DatetimeIndex:
    """Times with a row of the series in [start, end)."""
    sql = (
        f"select distinct ts from {raw_table(spec.dataset)} where series = :series and interval = :interval "
        "and ts >= coalesce(:start, '-infinity'::timestamptz) and ts < :end"
    )
    params = {"series": spec.id, "interval": spec.interval, "start": start, "end": end}
    frame = place.read(sql, params) if isinstance(place, Warehouse) else read_frame(place, sql, params)
    return pd.DatetimeIndex(frame["ts"])


def record(connection: Connection, spec: SeriesSpec, gaps: Iterable[tuple[Gap, str, int]], now: datetime) -> None:
    """Write gaps with their status and the rows that filled them; a gap that is there takes the new status."""
    rows = [
        {
            "gap_start": gap.start.isoformat(), "gap_end": gap.end.isoformat(), "missing_slots": gap.missing_slots,
            "status": status, "rows_added": rows_added,
        }
        for gap, status, rows_added in gaps
    ]  # fmt: skip
    if not rows:
        return
    connection.execute(
        text(f"""
            insert into {OPS_GAPS} (dataset, series, interval, gap_start, gap_end, missing_slots, status,
                detected_at, checked_at, rows_added)
            select :dataset, :series, :interval, gap_start, gap_end, missing_slots, status, :now, :now, rows_added
            from jsonb_to_recordset(cast(:rows as jsonb)) as gap (
                gap_start timestamptz, gap_end timestamptz, missing_slots integer, status text, rows_added bigint
            )
            on conflict (dataset, series, interval, gap_start) do update set
                gap_end = excluded.gap_end, missing_slots = excluded.missing_slots, status = excluded.status,
                checked_at = excluded.checked_at, rows_added = excluded.rows_added
        """),
        {
            "dataset": spec.dataset.value, "series": spec.id, "interval": spec.interval, "now": now,
            "rows": json.dumps(rows),
        },
    )  # fmt: skip


def record_outcomes(
    connection: Connection,
    spec: SeriesSpec,
    gaps: Sequence[Gap],
    stored: pd.DatetimeIndex,
    unanswered: str,
    now: datetime,
) -> int:
    """Replace each gap by what is filled and what is not; the number of gaps with nothing missing any more."""
    times_now = stored.sort_values()
    parts: list[tuple[Gap, str, int]] = []
    fixed = 0
    for gap in gaps:
        low, high = times_now.searchsorted([pd.Timestamp(gap.start), pd.Timestamp(gap.end)])
        inside = times_now[int(low) : int(high)]
        if inside.empty:
            parts.append((gap, unanswered, 0))
        elif spec.interval == IRREGULAR:
            parts.append((gap, "fixed", len(inside)))
            fixed += 1
        else:
            filled, missing = fill_runs(inside, gap, spec.interval, spec.calendar)
            parts += [(run, "fixed", run.missing_slots) for run in filled]
            parts += [(run, unanswered, 0) for run in missing]  # the first part has the gap's own start: its row
            fixed += not missing
    record(connection, spec, parts, now)
    return fixed
