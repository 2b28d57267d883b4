"""The two ledgers beside the raw rows: what was not believed (quarantine) and what providers answered (ingest log)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from models.contracts.market import DataMode, Dataset
from models.contracts.tables import RAW_INGEST_LOG, RAW_QUARANTINE
from orchestration.resources.warehouse_records import QuarantineEntry
from orchestration.resources.warehouse_tables import column_types, refresh_statistics, stage
from orchestration.sources.interface import Answer, Reject


def as_entry(reject: Reject, known_at: datetime, data_mode: DataMode) -> QuarantineEntry:
    """A row that could not become a row, as a quarantine entry."""
    return QuarantineEntry(
        reject.dataset,
        reject.series,
        "reject",
        reject.reason,
        reject.detail,
        known_at,
        data_mode,
        payload=reject.payload,
    )


def record_entries(connection: Connection, entries: Sequence[QuarantineEntry], run_id: str | None) -> int:
    if not entries:
        return 0
    rows = pd.DataFrame(
        {
            "dataset": [e.dataset.value for e in entries],
            "series": [e.series for e in entries],
            "interval": [e.interval for e in entries],
            "ts": [e.ts for e in entries],
            "digest": [e.digest for e in entries],
            "action": [e.action for e in entries],
            "reason": [e.reason for e in entries],
            "detail": [e.detail for e in entries],
            "value": [e.value for e in entries],
            "payload": [None if e.payload is None else dict(e.payload) for e in entries],
            "data_mode": [e.data_mode.value for e in entries],
            "known_at": [e.known_at for e in entries],
            "run_id": [run_id for _ in entries],
        },
        dtype=object,
    )
    name = "ballast_quarantine_stage"
    types = column_types(connection, RAW_QUARANTINE)
    identity = ("dataset", "series", "interval", "ts", "digest", "action", "reason", "value", "payload")
    stage(connection, name, rows.assign(n=range(len(rows))), types | {"n": "bigint"})
    names = ", ".join(rows.columns)
    fingerprint = "md5(" + " || '|' || ".join(
        f"coalesce({'extract(epoch from ts)' if c == 'ts' else c}::text, '~')" for c in identity
    ) + ")::uuid"  # fmt: skip
    done = connection.execute(
        text(
            f"insert into {RAW_QUARANTINE} ({names}, fingerprint) select {names}, {fingerprint} from {name} order by n "
            "on conflict (fingerprint) do nothing"
        )
    )
    connection.execute(text(f"drop table {name}"))
    refresh_statistics(connection, RAW_QUARANTINE, done.rowcount)
    return done.rowcount


def log_answers(
    connection: Connection, dataset: Dataset, answers: Sequence[Answer], window: tuple[datetime | None, datetime],
    data_mode: DataMode, added: Mapping[str, int], rejects: Sequence[Reject], started_at: datetime, run_id: str | None,
) -> None:  # fmt: skip
    def share(counts: Mapping[str, int], series: str | None) -> int:
        return sum(counts.values()) if series is None else counts.get(series, 0)

    rejected: dict[str, int] = {}
    for reject in rejects:
        rejected[reject.series] = rejected.get(reject.series, 0) + 1
    rows: list[dict[str, Any]] = [
        {
            "dataset": dataset.value, "series": a.series, "provider": a.provider, "data_mode": data_mode.value,
            "window_start": window[0], "window_end": window[1], "rows_received": a.rows,
            # Of several providers asked for one series only the one that answered can have added rows.
            "rows_added": share(added, a.series) if a.rows else 0,
            "rows_rejected": share(rejected, a.series) if a.outcome != "failed" else 0,
            "outcome": a.outcome, "error_kind": a.error_kind, "error_text": a.error_text,
            "run_id": run_id, "started_at": started_at,
        }
        for a in answers
    ]  # fmt: skip
    if rows:
        names = ", ".join(rows[0])
        values = ", ".join(f":{name}" for name in rows[0])
        connection.execute(text(f"insert into {RAW_INGEST_LOG} ({names}) values ({values})"), rows)
