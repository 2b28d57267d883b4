"""Rows for the raw tables, written by hand: tests of the SQL choose every clock and digest themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from psycopg2.extras import execute_values
from sqlalchemy import Engine, text

HOUR = pd.Timedelta(hours=1)
DAY = pd.Timedelta(days=1)


def _insert(engine: Engine, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    connection = engine.raw_connection()
    try:
        with connection.cursor() as cursor:
            execute_values(
                cursor,
                f"insert into {table} ({', '.join(columns)}, digest) values %s",
                [[None if value is None or value != value else value for value in row] for row in rows],
                template=f"({', '.join(['%s'] * len(columns))}, gen_random_uuid())",
                page_size=5000,
            )
        connection.commit()
    finally:
        connection.close()


def open_market(engine: Engine, now: datetime) -> None:
    with engine.begin() as connection:
        connection.execute(text("delete from ops.market"))
        connection.execute(
            text("insert into ops.market (name, data_mode, clock_anchor) values ('test', 'simulated', :now)"),
            {"now": now},
        )


def declare(engine: Engine, series: str, dataset: str, interval: str, kind: str, base: str, quote: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base,"
                " quote, source, scored, data_mode) values (:id, :dataset, :interval, :kind, 'always', 0, 86400, :base,"
                " :quote, 'test', true, 'simulated')"
            ),
            {"id": series, "dataset": dataset, "interval": interval, "kind": kind, "base": base, "quote": quote},
        )


def add_candles(engine: Engine, series: str, bars: pd.DataFrame, available_at: datetime | None = None) -> None:
    """`bars`: indexed by open time; open, high, low, close, volume_base. Known an hour later unless said otherwise."""
    rows = [
        (series, "1h", ts, bar.open, bar.high, bar.low, bar.close, bar.volume_base, "test", "test", "simulated",
         available_at or ts + HOUR)
        for ts, bar in zip(bars.index, bars.itertuples(index=False), strict=True)
    ]  # fmt: skip
    columns = (
        "series", "interval", "ts", "open", "high", "low", "close", "volume_base", "source", "provider", "data_mode",
        "available_at",
    )  # fmt: skip
    _insert(engine, "raw.candles", columns, rows)


def add_rates(
    engine: Engine,
    series: str,
    rates: pd.DataFrame,
    interval: str = "1d",
    kind: str = "official",
    regime: str = "free",
    lag: pd.Timedelta = DAY,
) -> None:
    """`rates`: indexed by publication; rate and, for ranges, open, high, low."""
    pair = series.split(":")[0]
    frame = rates.reindex(columns=["rate", "open", "high", "low"])
    rows = [
        (series, interval, ts, pair[:-3], pair[-3:], kind, "mid", *row, regime, "test", "test", "simulated", ts + lag)
        for ts, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    ]
    columns = (
        "series", "interval", "ts", "base", "quote", "kind", "side", "rate", "open", "high", "low", "source_regime",
        "source", "provider", "data_mode", "available_at",
    )  # fmt: skip
    _insert(engine, "raw.fx_rates", columns, rows)


def add_funding(engine: Engine, series: str, rates: pd.Series) -> None:
    rows = [(series, "8h", ts, "test", value, "test", "test", "simulated", ts) for ts, value in rates.items()]
    columns = (
        "series", "interval", "ts", "exchange", "funding_rate", "source", "provider", "data_mode", "available_at",
    )  # fmt: skip
    _insert(engine, "raw.funding", columns, rows)


def hold(engine: Engine, dataset: str, series: str, interval: str, ts: datetime, action: str = "hold") -> int:
    """Put the newest revision of a slot in quarantine; returns the entry."""
    with engine.begin() as connection:
        return int(
            connection.execute(
                text(
                    "insert into raw.quarantine (dataset, series, interval, ts, digest, action, reason, detail,"
                    f" data_mode, known_at, fingerprint) select '{dataset}', series, interval, ts, digest, :action,"
                    f" 'wrong_scale', 'test', data_mode, available_at, gen_random_uuid() from raw.{dataset}"
                    " where series = :series and interval = :interval and ts = :ts order by available_at desc, seq desc"
                    " limit 1 returning id"
                ),
                {"action": action, "series": series, "interval": interval, "ts": ts},
            ).scalar_one()
        )


def release(engine: Engine, entry: int, by: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into raw.quarantine_releases (quarantine_id, reason, released_by, known_at)"
                " values (:entry, 'true after all', :by, now())"
            ),
            {"entry": entry, "by": by},
        )


def walk(start: str, hours: int, seed: int, price: float = 100.0) -> pd.DataFrame:
    """Hourly bars of a random walk: enough shape for every estimator, no meaning."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0, 0.01, hours)))
    opened = np.concatenate([[price], close[:-1]])
    spread = np.exp(np.abs(rng.normal(0, 0.005, (2, hours))))
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * spread[0],
            "low": np.minimum(opened, close) / spread[1],
            "close": close,
            "volume_base": rng.lognormal(3, 1, hours),
        },
        index=pd.date_range(start, periods=hours, freq="h", tz="UTC"),
    )


def published(start: str, days: int, seed: int, price: float = 150.0) -> pd.DataFrame:
    """Daily open, high, low and rate of a random walk on every day of the week; weekends are for the SQL to drop."""
    rng = np.random.default_rng(seed)
    rate = price * np.exp(np.cumsum(rng.normal(0, 0.008, days)))
    rate[rng.random(days) < 0.1] = price  # some prints stand still or jump back
    opened = np.concatenate([[price], rate[:-1]])
    return pd.DataFrame(
        {
            "rate": rate,
            "open": opened,
            "high": np.maximum(opened, rate) * 1.002,
            "low": np.minimum(opened, rate) / 1.003,
        },
        index=pd.date_range(start, periods=days, freq="D", tz="UTC"),
    )
