"""Finds what is missing in the raw tables, asks the market for exactly that, and writes down what came of it.

One series at a time and one question a transaction: a scan that is killed loses at most one question, and the next
scan goes on. A gap the source cannot fill is `absent_at_source` and is not asked for again unless told to.
Finding gaps is pure and lives in `models.timeseries.gaps`; the table of gaps in `gap_ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from models.contracts.market import DataMode, Dataset, SeriesSpec
from models.contracts.tables import OPS_GAP_SCANS
from models.timeseries.calendars import expected_slots, interval_length
from models.timeseries.gaps import Gap, find_gaps, find_silences, merge
from orchestration.quality.gap_ledger import (
    Coverage,
    KnownGap,
    coverage,
    known_gaps,
    record,
    record_outcomes,
    times,
)
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import append_rows
from orchestration.resources.warehouse_ledgers import as_entry, log_answers, record_entries
from orchestration.sources.interface import Fetch, Market

# Answers that stay the same until somebody changes a setting or a file; every other failure is asked again.
_FOR_GOOD = ("no_history", "unknown_symbol", "unknown_series", "unsupported", "delisted", "plan", "no_key", "bad_file")
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
            scan = _SeriesScan(warehouse, market, spec, now, run_id, seen.get(key, Coverage()), known.get(key, ()))
            done = scan.run(fill, full, recheck_absent)
            if done is not None:
                scans.append(done)
    return scans


class _SeriesScan:
    """One series: what to look at, what to ask, what was learned."""

    def __init__(
        self, warehouse: Warehouse, market: Market, spec: SeriesSpec, now: datetime, run_id: str | None,
        seen: Coverage, known: Sequence[KnownGap],
    ) -> None:  # fmt: skip
        self.warehouse, self.market, self.spec, self.now, self.run_id = warehouse, market, spec, now, run_id
        self.seen, self.known = seen, known
        self.length = interval_length(spec.interval)
        self.step = self.length or timedelta(microseconds=1)
        self.rows_added = self.fixed = 0
        self.edges: list[Gap] = []  # what was missing before the first row or after the last, and is there now

    def run(self, fill: bool, full: bool, recheck_absent: bool) -> GapScan | None:
        first = full or self.seen.scanned_to is None
        if first and fill:
            self._ask_edges()
        start, end = (self.seen.oldest if first else self.seen.scanned_to), self.seen.newest
        if start is None or end is None:
            return None
        again = [g.gap for g in self.known if g.status == "open" or recheck_absent]
        if not first and start >= end and not again:
            return None
        found = self._find(start, end)
        absent = {g.gap.start for g in self.known if g.status == "absent_at_source" and not recheck_absent}
        asked = {g.start: g for g in found if g.start not in absent} | {g.start: g for g in again}
        todo = [asked[at] for at in sorted(asked)]
        with self.warehouse.transaction() as connection:
            record(connection, self.spec, [(gap, "open", 0) for gap in todo], self.now)
        if fill:
            for low, high in self._questions(todo):
                self._ask(low, high, [gap for gap in todo if low <= gap.start < high])
        every = {g.start: g for g in found} | asked
        return self._report(start, end, [*self.edges, *every.values()])

    def _find(self, start: datetime, end: datetime) -> list[Gap]:
        ts = times(self.warehouse, self.spec, start, end + timedelta(microseconds=1))
        if self.length is None:
            return find_silences(ts, timedelta(seconds=self.spec.max_age_s), self.spec.calendar)
        return find_gaps(ts, self.spec.interval, self.spec.calendar, start, end)

    def _questions(self, gaps: list[Gap]) -> list[tuple[datetime, datetime]]:
        """Windows to ask for. A provider answers in pages; a market on this machine answers any window at once."""
        if self.market.mode is DataMode.LIVE:
            return merge(gaps, self.step * _SLOTS_A_QUESTION)
        return merge(gaps, timedelta.max)

    def _ask_edges(self) -> None:
        """Once a series: is there anything before the first row or after the last that ingest did not bring?"""
        before, after = self.seen.oldest, self.seen.newest
        upto = self.now + timedelta(microseconds=1)
        if before is None or after is None:
            self._ask(None, upto, ())
        else:
            whole = self._ask(None, before, ())
            if not whole and self.market.mode is DataMode.LIVE and self.length is not None:
                self._owe(before)
            self._ask(after + self.step, max(upto, after + self.step), ())
        if self.edges:
            self.seen = coverage(self.warehouse, self.spec.dataset)[self.spec.id, self.spec.interval]

    def _owe(self, before: datetime) -> None:
        """History that a provider broke off in front of, as small plans do, is a gap like any other: asked again with
        every scan until somebody has given it or cannot."""
        start = self.market.history_start()
        missing = find_gaps(
            times(self.warehouse, self.spec, start, before), self.spec.interval, self.spec.calendar, start, before
        )
        with self.warehouse.transaction() as connection:
            record(connection, self.spec, [(gap, "open", 0) for gap in missing], self.now)

    def _ask(self, low: datetime | None, high: datetime, gaps: Sequence[Gap]) -> bool:
        """Ask for [low, high), keep what falls into the gaps, judge each. Without gaps (an edge) keep all.

        Whether the answer was a whole one."""
        started, spec = datetime.now(UTC), self.spec
        fetch = self.market.fetch(spec.dataset, low, high, self.now, [spec.id])
        frame = fetch.frame[fetch.frame["interval"].astype(str) == spec.interval]
        if gaps:
            frame = frame[_inside(frame["ts"], gaps)]
        with self.warehouse.transaction() as connection:
            added = append_rows(connection, spec.dataset, frame, self.run_id)
            entries = [as_entry(reject, self.now, self.market.mode) for reject in fetch.rejects]
            record_entries(connection, entries, self.run_id)
            log_answers(
                connection, spec.dataset, fetch.answers, (low, high), self.market.mode, added, fetch.rejects, started,
                self.run_id,
            )  # fmt: skip
            if added and not gaps:
                edge = Gap(_moment(frame["ts"].min()), _moment(frame["ts"].max()) + self.step, sum(added.values()))
                record(connection, spec, [(edge, "fixed", edge.missing_slots)], self.now)
                self.edges.append(edge)
                self.fixed += 1
            if gaps:
                unanswered = "absent_at_source" if _final(fetch) else "open"
                stored = times(connection, spec, low, high)
                self.fixed += record_outcomes(connection, spec, gaps, stored, unanswered, self.now)
        self.rows_added += sum(added.values())
        return _final(fetch)

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


def _moment(ts: Any) -> datetime:
    return pd.Timestamp(ts).to_pydatetime()


def _inside(ts: pd.Series, gaps: Sequence[Gap]) -> np.ndarray:
    """Mask of the times that fall into one of the gaps (in time order, not overlapping)."""
    starts = pd.DatetimeIndex([gap.start for gap in gaps])
    ends = pd.DatetimeIndex([gap.end for gap in gaps])
    times = pd.DatetimeIndex(pd.to_datetime(ts, utc=True))  # an empty frame has no times to be aware of a zone
    nearest = starts.searchsorted(times, side="right") - 1
    return (nearest >= 0) & np.asarray(times < ends[np.maximum(nearest, 0)])


def _final(fetch: Fetch) -> bool:
    """Whether what is missing now would be missing at the next question too: nobody broke off in the middle."""
    return all(answer.outcome == "ok" or answer.error_kind in _FOR_GOOD for answer in fetch.answers)
