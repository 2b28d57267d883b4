"""The warehouse: everything Ballast stores about a market, as methods on one database.

Here: the raw store (append-only rows with two clocks, quarantine, ingest log). The market's clock, catalogue and
provider budgets come with `operations`; plain reading and writing of tables with `warehouse_tables`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd
from sqlalchemy import text

from models.contracts.market import DataMode, Dataset
from models.contracts.tables import RAW_QUARANTINE_RELEASES
from orchestration.resources.operations import Operations
from orchestration.resources.warehouse_append import append_rows, raw_table
from orchestration.resources.warehouse_ledgers import as_entry, log_answers, record_entries
from orchestration.resources.warehouse_records import QuarantineEntry, Stored
from orchestration.sources.interface import Answer, Fetch, Reject


class Warehouse(Operations):
    """Everything Ballast stores about a market, as methods on one database."""

    def append(self, dataset: Dataset, frame: pd.DataFrame, run_id: str | None) -> int:
        """Store the rows of `frame` (columns `COLUMNS[dataset]`) that are new; returns how many were.

        All or nothing, in file order, safe beside other writers; a second call adds 0. Raises FrameError when the
        frame does not fit, DatabaseError when the database refuses.
        """
        with self.transaction() as connection:
            return sum(append_rows(connection, dataset, frame, run_id).values())

    def store(
        self,
        dataset: Dataset,
        fetch: Fetch,
        *,
        window: tuple[datetime | None, datetime],
        data_mode: DataMode,
        known_at: datetime,
        started_at: datetime,
        run_id: str | None,
    ) -> Stored:
        """Rows, rejects and log of one fetch in one transaction. `started_at` is wall time, the rest market time."""
        with self.transaction() as connection:
            added = append_rows(connection, dataset, fetch.frame, run_id)
            record_entries(connection, [as_entry(r, known_at, data_mode) for r in fetch.rejects], run_id)
            log_answers(connection, dataset, fetch.answers, window, data_mode, added, fetch.rejects, started_at, run_id)
        return Stored(len(fetch.frame), sum(added.values()), len(fetch.rejects), added)

    def log_ingest(
        self,
        dataset: Dataset,
        answers: Sequence[Answer],
        *,
        window: tuple[datetime | None, datetime],
        data_mode: DataMode,
        started_at: datetime,
        run_id: str | None,
        added_by_series: Mapping[str, int] | None = None,
        rejects: Sequence[Reject] = (),
    ) -> None:
        """Record what each provider answered (part of `store`; alone for fetches that brought nothing to store)."""
        with self.transaction() as connection:
            log_answers(
                connection, dataset, answers, window, data_mode, added_by_series or {}, rejects, started_at, run_id
            )

    def quarantine(self, entries: Sequence[QuarantineEntry], run_id: str | None = None) -> int:
        """Record rows that are not believed; an entry that is there already is not repeated. Returns rows added."""
        with self.transaction() as connection:
            return record_entries(connection, entries, run_id)

    def release(
        self, ids: Sequence[int], *, reason: str, released_by: str, known_at: datetime, run_id: str | None = None
    ) -> int:
        """Say that quarantined rows are true after all; the first word on an entry stands. Returns rows added."""
        rows = [
            {"quarantine_id": i, "reason": reason, "released_by": released_by, "known_at": known_at, "run_id": run_id}
            for i in ids
        ]
        return self.append_table(RAW_QUARANTINE_RELEASES, rows, conflict=("quarantine_id",)) if rows else 0

    def watermark(self, dataset: Dataset, series: str, interval: str) -> datetime | None:
        """Newest `ts` of a series; None if it has no rows."""
        with self.transaction() as connection:
            found: datetime | None = connection.execute(
                text(f"select max(ts) from {raw_table(dataset)} where series = :series and interval = :interval"),
                {"series": series, "interval": interval},
            ).scalar_one()
            return found

    def latest(
        self, dataset: Dataset, series: str, interval: str, columns: Sequence[str],
        start: datetime | None = None, end: datetime | None = None, known_at: datetime | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """`ts` and `columns` of the newest revision of each row in [start, end), as known at `known_at`, by time."""
        names = "".join(f", {name}" for name in columns)
        return self.read(
            f"select distinct on (ts) ts{names} from {raw_table(dataset)} "
            "where series = :series and interval = :interval and ts >= coalesce(:start, '-infinity'::timestamptz) "
            "and ts < coalesce(:end, 'infinity'::timestamptz) "
            "and available_at <= coalesce(:known_at, 'infinity'::timestamptz) "
            "order by ts, available_at desc, seq desc",
            {"series": series, "interval": interval, "start": start, "end": end, "known_at": known_at},
        )
