"""What the drift detectors look at, as the warehouse has it: hourly streams, recent raw rows, issued forecasts.

Here: SQL and the step to the types of `models.drift`. Nothing is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from models.contracts.market import Dataset, SeriesKind, SeriesSpec
from models.contracts.score import PUBLISHED
from models.contracts.tables import ML_EVALUATIONS, ML_PREDICTIONS, ML_WALK_FORWARD, OPS_SERIES
from models.drift.volatility import HourlyStream
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table

# Days back that a look at raw rows needs, by interval: twice thirty days of usual bars and three to look at for hours,
# a window of 168 rows for days. Longer ones would cost the hourly tick and say nothing more.
_LOOK_BACK_DAYS = {"1d": 340, "irregular": 14}
_LOOK_BACK_HOURLY = 64
_FIELDS = {
    Dataset.CANDLES: ("open", "high", "low", "close", "volume_base", "volume_quote", "trades"),
    Dataset.FX_RATES: ("open", "high", "low", "rate", "bid", "ask", "n_offers", "depth_base"),
}
PEER_SHARE = 0.8  # of the hours of a stream that another must have to be asked about it


def recent_rows(warehouse: Warehouse, dataset: Dataset, now: datetime) -> dict[str, pd.DataFrame]:
    """Newest revision of each recent row as it stands in the raw table, held or not, by series."""
    fields = ", ".join(f"r.{name}::float8 as {name}" for name in _FIELDS[dataset])
    rows = warehouse.read(
        f"""
        select s.id as series, f.* from {OPS_SERIES} as s cross join lateral (
            select distinct on (r.ts) r.ts, r.available_at, {fields} from {raw_table(dataset)} as r
            where r.series = s.id and r.interval = s.interval and r.available_at <= :now
            and r.ts > cast(:now as timestamptz) - make_interval(days => case s.interval
                when '1d' then {_LOOK_BACK_DAYS["1d"]} when 'irregular' then {_LOOK_BACK_DAYS["irregular"]}
                else {_LOOK_BACK_HOURLY} end)
            order by r.ts, r.available_at desc, r.seq desc
        ) as f
        where s.dataset = :dataset and s.scored
        """,
        {"now": now, "dataset": dataset.value},
    )
    return _by_series(rows)


def believed_history(warehouse: Warehouse, spec: SeriesSpec, now: datetime) -> pd.DataFrame:
    """All believed rows of one series in time order: what a quiet feed looks like."""
    fields = ", ".join(f"r.{name}::float8 as {name}" for name in _FIELDS[spec.dataset])
    return warehouse.read(
        f"select r.ts, r.available_at, {fields} from staging.{spec.dataset.value} as r "
        "where r.series = :series and r.interval = :interval and r.available_at <= :now order by r.ts",
        {"series": spec.id, "interval": spec.interval, "now": now},
    )


def hourly_ids(specs: Sequence[SeriesSpec]) -> list[str]:
    """Series with hourly candles: those whose volatility is watched by the hour."""
    return [spec.id for spec in specs if spec.kind is SeriesKind.CANDLES and spec.interval == "1h"]


def hourly_streams(
    warehouse: Warehouse, series: Sequence[str], now: datetime, since: datetime | None = None
) -> dict[str, HourlyStream]:
    """Believed hourly returns and volume of each series on its own hours, without peers."""
    rows = warehouse.read(
        "select series, ts, r, volume_base from features.bar_returns where series = any(:series) "
        "and ts <= cast(:now as timestamptz) - interval '1 hour' "
        "and (cast(:since as timestamptz) is null or ts > :since) order by series, ts",
        {"series": list(series), "now": now, "since": since},
    )
    found = {}
    for name, part in _by_series(rows).items():
        times = pd.date_range(part["ts"].iloc[0], part["ts"].iloc[-1], freq="1h")
        grid = part.set_index("ts").reindex(times)
        volume = grid["volume_base"].to_numpy(dtype=float)
        known = volume if np.isfinite(volume).mean() >= PEER_SHARE else None
        found[name] = HourlyStream(times, grid["r"].to_numpy(dtype=float), known)
    return found


def with_peers(streams: Mapping[str, HourlyStream], subject: str, peers: Sequence[str]) -> HourlyStream:
    """The stream of `subject` with the returns of the named others on its hours; one that is not there is missing."""
    own = streams[subject]
    if not peers:
        return own
    columns = [
        pd.Series(streams[name].returns, streams[name].times).reindex(own.times).to_numpy()
        if name in streams
        else np.full(len(own.times), np.nan)
        for name in peers
    ]
    return HourlyStream(own.times, own.returns, own.volume, np.column_stack(columns))


def peers_of(streams: Mapping[str, HourlyStream], subject: str) -> list[str]:
    """Other streams that cover enough of the subject's hours."""
    own = streams[subject].times
    return [
        name
        for name, other in sorted(streams.items())
        if name != subject and own.isin(other.times).mean() >= PEER_SHARE
    ]


def told(warehouse: Warehouse, series: Sequence[str], now: datetime) -> pd.DataFrame:
    """Forecasts of each series, horizon and origin: issued ones, and before those what the gate would have published.

    Columns `series`, `horizon_days`, `as_of`, `rv_forecast`, `p_spike`.
    """
    return warehouse.read(
        f"""
        with newest as (
            select distinct on (panel, horizon_days) evaluation_id from {ML_EVALUATIONS}
            order by panel, horizon_days, id desc
        ),
        said as (
            select series, horizon_days, as_of, rv_forecast, p_spike, 1 as place, issued_at from {ML_PREDICTIONS}
            where series = any(:series) and issued_at <= :now and role = 'champion'
            union all
            select w.series, w.horizon_days, w.issued_at, w.rv_forecast, w.p_spike, 2, w.issued_at
            from {ML_WALK_FORWARD} as w join newest on newest.evaluation_id = w.evaluation_id
            where w.model = :published and w.series = any(:series)
        )
        select distinct on (series, horizon_days, as_of) series, horizon_days, as_of, rv_forecast, p_spike
        from said order by series, horizon_days, as_of, place, issued_at desc
        """,
        {"series": list(series), "now": now, "published": PUBLISHED},
    )


def one_day(forecasts: pd.DataFrame, series: str) -> pd.DataFrame:
    """Of what was told: one-day forecasts of one series."""
    return forecasts[(forecasts["series"] == series) & (forecasts["horizon_days"] == 1)]


def back(now: datetime, hours: int) -> datetime:
    return now - timedelta(hours=hours)


def _by_series(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        str(name): part.drop(columns="series").reset_index(drop=True)
        for name, part in rows.groupby("series", sort=True, observed=True)
    }
