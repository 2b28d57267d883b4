"""Holds: prints too far from the last good one are quarantined, and released when others confirm them.

Here: judging and writing verdicts. Reading prints is `suspect_prints`; the rule itself is
`models.timeseries.quarantine`. Each verdict is dated by the moment its print became known, so a replayed history holds
exactly what would have been held at the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from models.contracts.market import DataMode, Dataset
from models.contracts.tables import RAW_QUARANTINE_RELEASES
from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits
from models.timeseries.quarantine import Reason, screen
from orchestration.quality.marks import read_mark, readable_seq, write_mark
from orchestration.quality.suspect_prints import (
    FAMILIES,
    RULE,
    Changed,
    Family,
    changed_series,
    hold_ids,
    read_prints,
    said,
)
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_records import QuarantineEntry

_TASK = "hold_suspects"


@dataclass(frozen=True, slots=True)
class Held:
    """What one run added."""

    series: int
    prints: int
    holds: int
    releases: int


def hold_suspects(
    warehouse: Warehouse,
    now: datetime,
    run_id: str | None,
    *,
    full: bool = False,
    limits: QualityLimits = DEFAULT_LIMITS,
) -> Held:
    """Judge the daily rates, street rates and bars that changed since the last run (all of them with `full`); a second
    run adds nothing."""
    series = prints = holds = releases = 0
    for dataset in (Dataset.CANDLES, Dataset.FX_RATES):
        mark = 0 if full else read_mark(warehouse, _TASK, dataset)
        upto = readable_seq(warehouse, dataset, mark, now)
        for family in (f for f in FAMILIES if f.dataset is dataset and upto > mark):
            for changed in changed_series(warehouse, family, mark):
                rows = read_prints(warehouse, family, changed, now, limits)
                if rows.empty:
                    continue
                found = _judge(rows, family, limits)
                held, released = _write(warehouse, family, changed, found, limits, run_id)
                series, prints = series + 1, prints + found.prints
                holds, releases = holds + held, releases + released
        write_mark(warehouse, _TASK, dataset, upto)
    return Held(series, prints, holds, releases)


@dataclass(frozen=True, slots=True)
class _Findings:
    """Of one series: holds as (seq, reason, detail), and (held seq, seq of the print that confirmed it)."""

    prints: int
    holds: list[tuple[int, str, str]]
    confirmed: list[tuple[int, int]]


def _judge(rows: pd.DataFrame, family: Family, limits: QualityLimits) -> _Findings:
    """Verdicts on prints by ts and revision; those marked `context` only look on."""
    context = int(rows["context"].sum())
    newest = ~rows.duplicated("ts", keep="last").to_numpy()
    whole = family.prints(rows[newest], limits)
    skip = int(rows.loc[newest, "context"].sum())  # they lie before all others
    prints = whole.since(skip)
    seqs = rows.loc[newest, "seq"].to_numpy()[skip:]
    judged = screen(prints)
    # A print that was corrected in time is measured against the same last good rate as its correction.
    old = rows.assign(place=np.cumsum(newest) - newest - skip)[~newest & ~rows["context"].to_numpy(dtype=bool)]
    place = old["place"].to_numpy(dtype=int)
    distance = np.log(old[family.value].to_numpy(dtype=float)) - np.log(judged.last_good[place])
    wrong = (np.abs(distance) > prints.far[place]) & ~old["accepted"].to_numpy(dtype=bool)
    holds: list[tuple[int, str, str]] = []
    for t in np.flatnonzero(judged.held).tolist():
        good = float(judged.last_good[t])
        reason = prints.reason(t, good)
        detail = _detail(float(prints.close[t]), good)
        if reason is Reason.RANGE:
            detail = f"from {np.exp(prints.low[t]):.10g} to {np.exp(prints.high[t]):.10g} around {good:.10g}"
        holds.append((int(seqs[t]), reason.value, detail))
    for seq, value, t in zip(old["seq"][wrong], old[family.value][wrong], place[wrong], strict=True):
        good = float(judged.last_good[t])
        reason = Reason.SCALE if abs(np.log(value / good)) > limits.scale_log_distance else prints.nearby
        holds.append((int(seq), reason.value, _detail(float(np.log(value)), good)))
    confirmed = [(int(seqs[i]), int(seqs[t])) for i, t in judged.confirmed]
    return _Findings(len(rows) - context, holds, confirmed)


def _detail(log_value: float, last_good: float) -> str:
    return f"{log_value - np.log(last_good):+.3f} (log) from the last good rate {last_good:.10g}"


def _write(
    warehouse: Warehouse, family: Family, changed: Changed, found: _Findings, limits: QualityLimits, run_id: str | None
) -> tuple[int, int]:
    """Store holds and releases; how many of each are new."""
    wanted = {seq for seq, _, _ in found.holds} | {seq for pair in found.confirmed for seq in pair}
    rows = said(warehouse, family, changed, sorted(wanted))
    entries = [
        QuarantineEntry(
            dataset=family.dataset,
            series=changed.series,
            action="hold",
            reason=reason,
            detail=detail,
            known_at=rows[seq]["available_at"],
            data_mode=DataMode(rows[seq]["data_mode"]),
            interval=changed.interval,
            ts=rows[seq]["ts"],
            digest=rows[seq]["digest"],
            value=rows[seq]["value"],
        )
        for seq, reason, detail in found.holds
    ]
    holds = warehouse.quarantine(entries, run_id) if entries else 0
    ids = hold_ids(warehouse, family, changed) if found.confirmed else {}
    releases = [
        {
            "quarantine_id": ids[key], "reason": f"{limits.confirm_prints} prints in a row agree",
            "released_by": RULE, "known_at": rows[by]["available_at"], "run_id": run_id,
        }
        for key, by in (((rows[seq]["ts"], rows[seq]["digest"]), by) for seq, by in found.confirmed)
        if key in ids
    ]  # fmt: skip
    if releases:
        return holds, warehouse.append_table(RAW_QUARANTINE_RELEASES, releases, conflict=("quarantine_id",))
    return holds, 0
