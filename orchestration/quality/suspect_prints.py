"""The prints that the hold rule judges, as the raw tables have them: which series changed, and from where to read.

Here: SQL and the families of prints that are judged alike. The verdicts are `suspects`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from models.contracts.market import Dataset
from models.contracts.tables import OPS_SERIES, RAW_QUARANTINE, RAW_QUARANTINE_RELEASES
from models.timeseries.limits import QualityLimits
from models.timeseries.quarantine import Prints
from models.timeseries.suspects import bar_prints, rate_prints, street_prints
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table

RULE = "rule"  # released by the rule itself: true after all, but not known to be at its time


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one dataset that are judged alike. `chosen` picks them out of the catalogue `s`, `usable` their rows
    `f`; `value` is the price judged, `columns` what the rule needs besides it."""

    dataset: Dataset
    chosen: str
    usable: str
    value: str
    columns: tuple[str, ...]
    prints: Callable[[pd.DataFrame, QualityLimits], Prints]


_WEEKDAYS = "extract(isodow from f.ts at time zone 'UTC') < 6"
FAMILIES = (
    Family(Dataset.CANDLES, "true", "true", "close", ("open", "low", "high", "volume_base", "trades"), bar_prints),
    Family(
        Dataset.FX_RATES, "s.interval = '1d' and s.kind in ('ranges', 'fixings')", _WEEKDAYS, "rate", (), rate_prints
    ),
    Family(Dataset.FX_RATES, "s.kind = 'street'", "true", "rate", ("n_offers",), street_prints),
)


@dataclass(frozen=True, slots=True)
class Changed:
    """A series with rows beyond the mark, and the oldest time of such a row."""

    series: str
    interval: str
    since: datetime


def changed_series(warehouse: Warehouse, family: Family, mark: int) -> list[Changed]:
    rows = warehouse.rows(
        f"""
        select f.series, f.interval, min(f.ts) as since from {raw_table(family.dataset)} as f
        join {OPS_SERIES} as s on s.dataset = :dataset and s.id = f.series and s.interval = f.interval
        where f.seq > :mark and {family.chosen}
        group by f.series, f.interval order by f.series, f.interval
        """,
        {"mark": mark, "dataset": family.dataset.value},
    )
    return [Changed(**row) for row in rows]


def read_prints(
    warehouse: Warehouse, family: Family, changed: Changed, now: datetime, limits: QualityLimits
) -> pd.DataFrame:
    """Revisions known by `now`, from the newest believed print before the change on (there the rule starts afresh).

    `accepted`: released by a human. `context`: rows before the start, that only say what volume is usual.
    """
    known = f"f.series = :series and f.interval = :interval and f.available_at <= :now and {family.usable}"
    table = raw_table(family.dataset)
    columns = "".join(f", f.{name}::float8 as {name}" for name in (family.value, *family.columns))
    return warehouse.read(
        f"""
        with held as materialized (
            select q.ts, q.digest, r.released_by from {RAW_QUARANTINE} as q
            left join {RAW_QUARANTINE_RELEASES} as r on r.quarantine_id = q.id
            where q.dataset = :dataset and q.series = :series and q.interval = :interval and q.action = 'hold'
        ),
        start as materialized (
            select f.ts from {table} as f
            where {known} and f.ts < :since and not exists (select from held where held.ts = f.ts)
            order by f.ts desc limit 1
        ),
        usual as materialized (
            select min(ts) as ts from (
                select distinct f.ts from {table} as f
                where {known} and f.ts < (select ts from start) order by f.ts desc limit :window
            ) as before
        )
        select f.ts, f.seq, coalesce(held.released_by <> :rule, false) as accepted,
            coalesce(f.ts < (select ts from start), false) as context{columns}
        from {table} as f
        left join held on held.ts = f.ts and held.digest = f.digest
        where {known} and f.ts >= coalesce((select ts from usual), (select ts from start), '-infinity'::timestamptz)
        order by f.ts, f.available_at, f.seq
        """,
        {
            "dataset": family.dataset.value, "series": changed.series, "interval": changed.interval, "now": now,
            "since": changed.since, "rule": RULE, "window": limits.thin_volume_window if family.columns else 0,
        },
    )  # fmt: skip


def said(warehouse: Warehouse, family: Family, changed: Changed, seqs: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Identity and exact words of single rows, by `seq`."""
    if not seqs:
        return {}
    rows = warehouse.rows(
        f"select seq, ts, digest::text as digest, {family.value}::text as value, available_at, data_mode "
        f"from {raw_table(family.dataset)} where series = :series and interval = :interval and seq = any(:seqs)",
        {"series": changed.series, "interval": changed.interval, "seqs": list(seqs)},
    )
    return {row["seq"]: row for row in rows}


def hold_ids(warehouse: Warehouse, family: Family, changed: Changed) -> dict[tuple[datetime, str], int]:
    """Quarantine ids of the holds of a series, by time and digest."""
    rows = warehouse.rows(
        f"select id, ts, digest::text as digest from {RAW_QUARANTINE} where dataset = :dataset and series = :series "
        "and interval = :interval and action = 'hold'",
        {"dataset": family.dataset.value, "series": changed.series, "interval": changed.interval},
    )
    return {(row["ts"], row["digest"]): row["id"] for row in rows}
