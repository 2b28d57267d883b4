"""Reading features for models: the one place that names the columns of `features.volatility` outside dbt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from models.contracts.market import SeriesKind
from models.volatility.panel import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from orchestration.resources.warehouse import Warehouse

FEATURES = "features.volatility"
PANEL_COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)


_SINCE = "(cast(:since as timestamptz) is null or as_of > :since)"


def origins(
    warehouse: Warehouse, kind: SeriesKind, series: Sequence[str], since: datetime | None = None
) -> pd.DataFrame:
    """Rows at which the protocol forecasts (coins: midnight, rates: each publication), in (series, as_of) order."""
    return warehouse.read(
        f"select {', '.join(PANEL_COLUMNS)} from {FEATURES} "
        f"where kind = :kind and series = any(:series) and is_origin and {_SINCE} order by series, as_of",
        {"kind": kind.value, "series": list(series), "since": since},
    )


def same_hour(
    warehouse: Warehouse, kind: SeriesKind, series: Sequence[str], hour: int, since: datetime | None = None
) -> pd.DataFrame:
    """Rows of hourly series that close at `hour` UTC: the daily grid of a score at that hour."""
    return warehouse.read(
        f"select {', '.join(PANEL_COLUMNS)} from {FEATURES} where kind = :kind and series = any(:series) "
        f"and extract(hour from as_of at time zone 'UTC') = :hour and {_SINCE} order by series, as_of",
        {"kind": kind.value, "series": list(series), "hour": hour, "since": since},
    )


def newest(warehouse: Warehouse, series: Sequence[str], now: datetime) -> dict[str, datetime]:
    """Newest `as_of` of each series that has come by `now`; a series without features is left out.

    A live rate of today is known before its day has closed: it is not scored until then.
    """
    rows = warehouse.rows(
        f"select series, max(as_of) as as_of from {FEATURES} where series = any(:series) and as_of <= :now "
        "group by series",
        {"series": list(series), "now": now},
    )
    return {row["series"]: row["as_of"] for row in rows}
