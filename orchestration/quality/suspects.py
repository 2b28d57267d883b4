"""Holds on daily rates: prints too far from the last good one are quarantined, and released when others confirm them.

Here: reading prints, writing verdicts. The rule itself is `models.timeseries.quarantine`. Each verdict is dated by the
moment its print became known, so a replayed history holds exactly what would have been held at the time.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from models.contracts.market import DataMode, Dataset
from models.contracts.tables import OPS_SERIES, RAW_FX_RATES, RAW_QUARANTINE, RAW_QUARANTINE_RELEASES
from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits
from models.timeseries.quarantine import Verdict, judge
from orchestration.quality.marks import read_mark, readable_seq, write_mark
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_records import QuarantineEntry

REASON = "far_from_last_good"
RULE = "rule"  # released by the rule itself: true after all, but not known to be at its time
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
    """Judge the daily rates that changed since the last run (all of them with `full`); a second run adds nothing."""
    mark = 0 if full else read_mark(warehouse, _TASK, Dataset.FX_RATES)
    upto = readable_seq(warehouse, Dataset.FX_RATES, mark, now)
    changed = _changed(warehouse, mark)
    prints = holds = releases = 0
    for series, changed_from in changed:
        rows = _prints(warehouse, series, changed_from, now)
        prints += len(rows)
        if rows.empty:
            continue
        entries, confirmed = _verdicts(rows, series, limits)
        holds += warehouse.quarantine(entries, run_id)
        releases += _release(warehouse, series, confirmed, limits, run_id)
    write_mark(warehouse, _TASK, Dataset.FX_RATES, upto)
    return Held(len(changed), prints, holds, releases)


def _changed(warehouse: Warehouse, mark: int) -> list[tuple[str, datetime]]:
    """Daily rates with rows beyond the mark: (series, oldest such ts)."""
    rows = warehouse.rows(
        f"""
        select r.series, min(r.ts) as changed_from from {RAW_FX_RATES} as r
        join {OPS_SERIES} as s on s.id = r.series and s.interval = r.interval
        where r.seq > :mark and r.interval = '1d' and s.kind in ('ranges', 'fixings')
        group by r.series order by r.series
        """,
        {"mark": mark},
    )
    return [(row["series"], row["changed_from"]) for row in rows]


def _prints(warehouse: Warehouse, series: str, changed_from: datetime, now: datetime) -> pd.DataFrame:
    """Revisions known by `now`, from the newest believed print before the change on (there the rule starts afresh)."""
    return warehouse.read(
        f"""
        with held as (
            select q.ts, q.digest, r.released_by from {RAW_QUARANTINE} as q
            left join {RAW_QUARANTINE_RELEASES} as r on r.quarantine_id = q.id
            where q.dataset = 'fx_rates' and q.series = :series and q.interval = '1d' and q.action = 'hold'
        ),
        start as (
            select max(f.ts) as ts from {RAW_FX_RATES} as f
            where f.series = :series and f.interval = '1d' and f.ts < :changed_from and f.available_at <= :now
            and extract(isodow from f.ts at time zone 'UTC') < 6
            and not exists (select from held where held.ts = f.ts)
        )
        select f.ts, f.digest::text as digest, f.rate::float8 as rate, f.rate::text as text,
            f.available_at, f.data_mode, coalesce(held.released_by <> :rule, false) as accepted
        from {RAW_FX_RATES} as f
        left join held on held.ts = f.ts and held.digest = f.digest
        where f.series = :series and f.interval = '1d' and f.available_at <= :now
        and f.ts >= coalesce((select ts from start), '-infinity'::timestamptz)
        and extract(isodow from f.ts at time zone 'UTC') < 6
        order by f.ts, f.available_at, f.seq
        """,
        {"series": series, "changed_from": changed_from, "now": now, "rule": RULE},
    )


def _verdicts(
    rows: pd.DataFrame, series: str, limits: QualityLimits
) -> tuple[list[QuarantineEntry], list[tuple[datetime, str, datetime]]]:
    """Holds to write, and (ts, digest, known_at) of held prints that a later one confirmed."""
    newest = ~rows.duplicated("ts", keep="last").to_numpy()
    chain = rows[newest].reset_index(drop=True)
    judged = judge(chain["rate"].to_numpy(float), limits, accepted=chain["accepted"].to_numpy(bool))
    # A print that was corrected within the day is measured against the same last good rate as its correction.
    place = np.cumsum(newest) - newest  # of each revision's ts in the chain
    last_good = np.array([verdict.last_good for verdict in judged])[place]
    distance = np.log(rows["rate"].to_numpy(float) / last_good)
    is_held = np.array([verdict.verdict is Verdict.HELD for verdict in judged])[place]
    held = np.where(newest, is_held, np.abs(distance) > limits.held_log_distance) & ~rows["accepted"].to_numpy(bool)
    suspects = rows.assign(last_good=last_good, distance=distance)[held]
    entries = [_entry(row, series) for row in suspects.to_dict("records")]
    confirmed = [
        (
            chain["ts"].iloc[i].to_pydatetime(),
            str(chain["digest"].iloc[i]),
            chain["available_at"].iloc[t].to_pydatetime(),
        )
        for t, verdict in enumerate(judged)
        for i in verdict.confirms
    ]
    return entries, confirmed


def _entry(row: Mapping[Hashable, Any], series: str) -> QuarantineEntry:
    return QuarantineEntry(
        dataset=Dataset.FX_RATES,
        series=series,
        action="hold",
        reason=REASON,
        detail=f"{row['distance']:+.3f} (log) from the last good rate {row['last_good']:.10g}",
        known_at=row["available_at"].to_pydatetime(),
        data_mode=DataMode(row["data_mode"]),
        interval="1d",
        ts=row["ts"].to_pydatetime(),
        digest=row["digest"],
        value=row["text"],
    )


def _release(
    warehouse: Warehouse, series: str, confirmed: list[tuple[datetime, str, datetime]], limits: QualityLimits,
    run_id: str | None,
) -> int:  # fmt: skip
    if not confirmed:
        return 0
    ids = warehouse.rows(
        f"select id, ts, digest::text as digest from {RAW_QUARANTINE} where dataset = 'fx_rates' and series = :series "
        "and interval = '1d' and action = 'hold'",
        {"series": series},
    )
    at = {(row["ts"], row["digest"]): row["id"] for row in ids}
    rows = [
        {
            "quarantine_id": at[ts, digest], "reason": f"{limits.confirm_prints} prints in a row agree",
            "released_by": RULE, "known_at": known_at, "run_id": run_id,
        }
        for ts, digest, known_at in confirmed
        if (ts, digest) in at
    ]  # fmt: skip
    return warehouse.append_table(RAW_QUARANTINE_RELEASES, rows, conflict=("quarantine_id",)) if rows else 0
