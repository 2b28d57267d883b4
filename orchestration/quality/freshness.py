"""How old the newest row of each series is at the market's clock, and what keeps it from getting younger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.contracts.market import Dataset
from models.contracts.tables import OPS_FRESHNESS, OPS_SERIES, RAW_INGEST_LOG
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table

# Regime of a source, by what it says about silence.
_QUIET = {"delisted": "delisted at the source", "closed": "closed at the source"}


@dataclass(frozen=True, slots=True)
class Freshness:
    """Age of one series: from the moment its newest row became known. `stalled_by` says why it is stale."""

    dataset: str
    series: str
    interval: str
    newest_ts: datetime | None
    newest_available_at: datetime | None
    age_s: int | None
    max_age_s: int
    stale: bool
    stalled_by: str | None


def check_freshness(warehouse: Warehouse, now: datetime) -> list[Freshness]:
    """Write `ops.freshness` and return it. A series without rows is stale."""
    found = [_judge(row, now) for dataset in Dataset for row in _newest(warehouse, dataset, now)]
    rows = [{name: getattr(f, name) for name in Freshness.__slots__} | {"checked_at": now} for f in found]
    if rows:
        warehouse.upsert_table(OPS_FRESHNESS, rows, ("dataset", "series", "interval"))
    return found


def _judge(row: Mapping[str, Any], now: datetime) -> Freshness:
    known = row["newest_available_at"]
    age_s = None if known is None else int((now - known).total_seconds())
    stale = age_s is None or age_s > row["max_age_s"]
    return Freshness(
        dataset=row["dataset"],
        series=row["series"],
        interval=row["interval"],
        newest_ts=row["newest_ts"],
        newest_available_at=known,
        age_s=age_s,
        max_age_s=row["max_age_s"],
        stale=stale,
        stalled_by=_reason(row) if stale else None,
    )


def _newest(warehouse: Warehouse, dataset: Dataset, now: datetime) -> list[dict[str, Any]]:
    regime = "source_regime" if dataset is Dataset.FX_RATES else "null::text"
    return warehouse.rows(
        f"""
        select s.dataset, s.id as series, s.interval, newest.ts as newest_ts,
            newest.available_at as newest_available_at, s.max_age_s,
            newest.regime, answer.provider, answer.outcome, answer.error_kind
        from {OPS_SERIES} as s
        left join lateral (
            select ts, available_at, {regime} as regime from {raw_table(dataset)}
            where series = s.id and interval = s.interval and available_at <= :now
            order by ts desc, available_at desc limit 1
        ) as newest on true
        left join lateral (
            select provider, outcome, error_kind from {RAW_INGEST_LOG}
            where dataset = s.dataset and series = s.id order by finished_at desc, id desc limit 1
        ) as answer on true
        where s.dataset = :dataset order by s.id, s.interval
        """,
        {"dataset": dataset.value, "now": now},
    )


def _reason(row: Mapping[str, Any]) -> str:
    if row["regime"] in _QUIET:
        return _QUIET[row["regime"]]
    if row["outcome"] == "failed":
        return f"{row['provider']}: {row['error_kind']}"
    return "nothing new at the source"
