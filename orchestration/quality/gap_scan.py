"""Finds what is missing in the raw tables, asks the market for exactly that, and writes down what came of it.

One series at a time and one question a transaction: a scan that is killed loses at most one question, and the next
scan goes on. A gap the source cannot fill is `absent_at_source` and is not asked for again unless told to.
Finding gaps is pure and lives in `models.timeseries.gaps`; the table of gaps in `gap_ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from models.contracts.market import Dataset, SeriesSpec
from models.contracts.tables import OPS_GAP_SCANS
from models.timeseries.calendars import expected_slots, interval_length
from models.timeseries.gaps import Gap, find_gaps, find_silences, merge
from orchestration.quality.gap_ledger import (
    Coverage,
    KnownGap,
    coverage,
    known_gaps,
    record,
    record_outcome,
    times,
)
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import append_rows
from orchestration.resources.warehouse_ledgers import as_entry, log_answers, record_entries
from orchestration.sources.interface import Fetch, Market

_SLOTS_A_QUESTION = 1000  # gaps closer than this share one question: about a page of any provider


@dataclass(frozen=True, slots=True)
class GapScan:
    """What one scan of one series saw and did. `gaps_fixed` counts gaps that are wholly filled now."""

    dataset: Dataset
    series: str
    interval: str
    scanned_from: datetime | None
    scanned_to: datetime | None
    expected_slots: int
    gaps_found: int
    missing_slots: int
    gaps_fixed: int
    rows_added: int


def scan_gaps(
    warehouse: Warehouse,
    market: Market,
    now: datetime,
    run_id: str | None,
    fill: bool = True,
    *,
    full: bool = False,
    recheck_absent: bool = False,
    series: Sequence[str] | None = None,
) -> list[GapScan]:
    """Scan every series of the market (or the named ones); series with nothing new since their last scan are left out.

    `fill`: ask for what is missing, else only record it. `full`: from the first row again instead of from where the
    last scan ended. `recheck_absent`: ask again for what the source did not have. `now` is market time.
    """
    scans: list[GapScan] = []
    specs = [s for s in market.series() if series is None or s.id in series]
    for dataset in dict.fromkeys(s.dataset for s in specs):
        own = [s for s in specs if s.dataset is dataset]
        seen = coverage(warehouse, dataset)
        known = known_gaps(warehouse, dataset)
        for spec in own:
            key = (spec.id, spec.interval)
            scan = _SeriesScan(warehouse, market, spec, now, run_id, seen.get(key), known.get(key, ()))
            done = scan.run(fill, full, recheck_absent)
            if done is not None:
                scans.append(done)
    return scans


class _SeriesScan:
    """One series: what to look at, what to ask, what was learned."""

    def __init__(
        self, warehouse: Warehouse, market: Market, spec: SeriesSpec, now: datetime, run_id: str | None,
        seen: Coverage | None, known: Sequence[KnownGap],
    ) -> None:  # fmt: skip
        self.warehouse, self.market, self.spec, self.now, self.run_id = warehouse, market, spec, now, run_id
        self.seen = seen or Coverage()
        self.known = known
        self.length = interval_length(spec.interval)
        self.rows_added = 0
        self.fixed = 0

    def run(self, fill: bool, full: bool, recheck_absent: bool) -> GapScan | None:
        first = full or self.seen.scanned_to is None
        edges = self._ask_edges() if first and fill else []
        start, end = (self.seen.oldest if first else self.seen.scanned_to), self.seen.newest
        open_before = [g for g in self.known if g.status == "open" or (recheck_absent and g.status != "fixed")]
        if start is None or end is None:
            return None
        if not first and start >= end and not open_before:
            return None
        found = self._find(start, end)
        absent = {g.gap.start for g in self.known if g.status == "absent_at_source"}
        asked = {g.start: g for g in found if recheck_absent or g.start not in absent}
        asked |= {g.gap.start: g.gap for g in open_before}
        todo = [asked[at] for at in sorted(asked)]
        with self.warehouse.transaction() as connection:
            record(connection, self.spec, [(gap, "open", 0) for gap in todo], self.now)
        if fill:
            for low, high in merge(todo, (self.length or timedelta(0)) * _SLOTS_A_QUESTION):
                self._ask(low, high, [gap for gap in todo if low <= gap.start < high])
        every = {g.start: g for g in found} | asked
        return self._report(start, end, [*edges, *every.values()])

    def _find(self, start: datetime, end: datetime) -> list[Gap]:
        ts = times(self.warehouse, self.spec, start, end + timedelta(microseconds=1))
        if self.length is None:
            return find_silences(ts, timedelta(seconds=self.spec.max_age_s))
        return find_gaps(ts, self.spec.interval, self.spec.calendar, start, end)

    def _ask_edges(self) -> list[Gap]:
        """Once a series: is there anything before the first row or after the last that ingest did not bring?"""
        before, after = self.seen.oldest, self.seen.newest
        step = self.length or timedelta(microseconds=1)
        if before is None or after is None:
            self._ask(None, self.now, ())
        else:
            self._ask(None, before, ())
            if after + step <= self.now:
                self._ask(after + step, self.now + timedelta(microseconds=1), ())
        if not self.rows_added:
            return []
        self.seen = coverage(self.warehouse, self.spec.dataset)[(self.spec.id, self.spec.interval)]
        oldest, newest = self.seen.oldest, self.seen.newest
        if oldest is None or newest is None:
            return []
        if before is None or after is None:
            edges = [(oldest, newest + step)]
        else:
            edges = [(oldest, before), (after + step, newest + step)]
        gaps = [self._edge(low, high) for low, high in edges if low < high]
        with self.warehouse.transaction() as connection:
            record(connection, self.spec, [(gap, "fixed", gap.missing_slots) for gap in gaps], self.now)
        self.fixed += len(gaps)
        return gaps

    def _edge(self, low: datetime, high: datetime) -> Gap:
        return Gap(low, high, len(times(self.warehouse, self.spec, low, high)))

    def _ask(self, low: datetime | None, high: datetime, gaps: Sequence[Gap]) -> None:
        """Ask for [low, high), keep the rows that fall into the gaps (all of them without any), judge each gap."""
        started = datetime.now(UTC)
        spec = self.spec
        fetch = self.market.fetch(spec.dataset, low, high, self.now, [spec.id])
        frame = fetch.frame[fetch.frame["interval"].astype(str) == spec.interval]
        if gaps and len(frame):
            wanted = pd.Series(False, index=frame.index)
            for gap in gaps:
                wanted |= (frame["ts"] >= gap.start) & (frame["ts"] < gap.end)
            frame = frame[wanted]
        with self.warehouse.transaction() as connection:
            added = append_rows(connection, spec.dataset, frame, self.run_id)
            entries = [as_entry(reject, self.now, self.market.mode) for reject in fetch.rejects]
            record_entries(connection, entries, self.run_id)
            log_answers(
                connection, spec.dataset, fetch.answers, (low, high), self.market.mode, added, fetch.rejects, started,
                self.run_id,
            )  # fmt: skip
            stored = times(connection, spec, low, high) if gaps else pd.DatetimeIndex([], tz="UTC")
            unanswered = "open" if _failed(fetch) else "absent_at_source"
            for gap in gaps:
                self.fixed += record_outcome(connection, spec, gap, stored, unanswered, self.now)
        self.rows_added += sum(added.values())

    def _report(self, start: datetime, end: datetime, gaps: list[Gap]) -> GapScan:
        spec = self.spec
        expected = 0 if self.length is None else len(expected_slots(start, end, spec.interval, spec.calendar))
        scan = GapScan(
            spec.dataset, spec.id, spec.interval, start, end, expected, len(gaps),
            sum(gap.missing_slots for gap in gaps), self.fixed, self.rows_added,
        )  # fmt: skip
        row = {name: getattr(scan, name) for name in GapScan.__slots__ if name != "dataset"}
        row |= {"dataset": spec.dataset.value, "run_id": self.run_id, "scanned_at": self.now}
        self.warehouse.append_table(OPS_GAP_SCANS, [row])
        return scan


def _failed(fetch: Fetch) -> bool:
    return not len(fetch.frame) and any(answer.outcome == "failed" for answer in fetch.answers)
