"""Ended runs of Dagster with their events, copied to Parquet before they are deleted.

Runs and events are written as Dagster serialises them: `dagster.deserialize_value` makes the objects again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster._serdes import serialize_value

from orchestration.archive.parquet import Entry, is_there, write

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_TIME = pa.timestamp("us", "UTC")
RUNS = pa.schema([("run_id", pa.string()), ("job_name", pa.string()), ("status", pa.string()), ("created_at", _TIME),
                  ("run", pa.string())])  # fmt: skip
EVENTS = pa.schema([("run_id", pa.string()), ("n", pa.int32()), ("at", _TIME), ("event_type", pa.string()),
                    ("step_key", pa.string()), ("asset", pa.string()), ("event", pa.string())])  # fmt: skip


def by_day(instance: dg.DagsterInstance, before: datetime) -> list[list[str]]:
    """Ids of ended runs that were created before the day of `before` began (UTC), a list for each day, oldest first.

    Whole days, so that the next call makes the same lists and finds their files there.
    """
    midnight = before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    records = instance.get_run_records(dg.RunsFilter(statuses=ENDED, created_before=midnight), ascending=True)
    days = groupby(records, key=lambda record: record.create_timestamp.astimezone(UTC).date())
    return [[record.dagster_run.run_id for record in found] for _, found in days]


def copy(instance: dg.DagsterInstance, run_ids: Sequence[str], folder: Path, now: datetime) -> list[Entry]:
    """Copy runs and their events into two new files, unless the archive has them. Raises ArchiveError, OSError."""
    if not run_ids:
        return []
    records = instance.get_run_records(dg.RunsFilter(run_ids=list(run_ids)), ascending=True)
    first = records[0].create_timestamp
    which = hashlib.sha256("".join(sorted(run_ids)).encode()).hexdigest()[:12]
    name = f"dagster/{first:%Y-%m}/{first:%Y-%m-%d}-{which}"
    rows = [
        (r.dagster_run.run_id, r.dagster_run.job_name, r.dagster_run.status.value, r.create_timestamp.astimezone(UTC),
         serialize_value(r.dagster_run))
        for r in records
    ]  # fmt: skip
    parts: list[tuple[str, str, pa.Schema, Any]] = [
        (f"{name}.runs.parquet", f"{len(rows)} runs of Dagster", RUNS, [rows]),
        (f"{name}.events.parquet", f"events of {len(rows)} runs of Dagster", EVENTS, _events(instance, run_ids)),
    ]
    return [
        write(folder, file, what, schema, batches, now)
        for file, what, schema, batches in parts
        if not is_there(folder, file)
    ]


def _events(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> Iterator[Sequence[tuple[Any, ...]]]:
    for run_id in run_ids:
        batch = []
        for n, entry in enumerate(instance.all_logs(run_id)):
            event = entry.dagster_event
            asset = event.asset_key.to_user_string() if event and event.asset_key else None
            kind = event.event_type_value if event else None
            at = datetime.fromtimestamp(entry.timestamp, UTC)
            batch.append((run_id, n, at, kind, entry.step_key, asset, serialize_value(entry)))
        if batch:
            yield batch
