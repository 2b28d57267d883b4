"""Correlations as rows: daily returns to make them of, and the mapping between `models.risk` and `risk.correlation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from models.contracts.score import ScoreStatus
from models.contracts.tables import RISK_CORRELATION
from models.risk.correlation import MIN_COMMON_DAYS
from models.risk.correlation_day import Said, words
from orchestration.resources.features import FEATURES
from orchestration.resources.warehouse import Warehouse

MARKET = "market"
_DIGITS = 10  # rounding then takes less from an eigenvalue than shrinkage left it


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose correlations: `columns` (series) under the `names` that are shown, each with its sign (-1: held inverted)
    and the group whose noise it shares. `labelled`: series whose regimes say what kind of day it was. `as_of`: newest
    day that has closed."""

    name: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    signs: tuple[float, ...]
    groups: tuple[str, ...]
    labelled: tuple[str, ...]
    as_of: datetime
    valid_until: datetime


def newest_days(warehouse: Warehouse) -> dict[str, datetime]:
    """Newest day of each scope that has its correlations."""
    rows = warehouse.rows(f"select scope, max(as_of) as as_of from {RISK_CORRELATION} group by scope")
    return {row["scope"]: row["as_of"] for row in rows}


def daily_returns(warehouse: Warehouse, series: Sequence[str], days: int, until: datetime) -> pd.DataFrame:
    """Log returns of the last `days` calendar days up to `until`: a row a day (UTC, by the midnight it closes at or
    before), a column a series. NaN where there is none or its print is held."""
    rows = warehouse.read(
        f"""
        select series, as_of, case when is_held::int = 1 then null else ret end as ret from {FEATURES}
        where is_origin and series = any(:series) and as_of <= :until
            and as_of > cast(:until as timestamptz) - make_interval(days => :days)
        order by as_of, series
        """,
        {"series": list(series), "until": until, "days": days},
    )
    rows = rows.assign(day=pd.to_datetime(rows["as_of"], utc=True).dt.ceil("D"))
    last = pd.Timestamp(until).tz_convert("UTC").ceil("D")
    calendar = pd.date_range(end=last, periods=days, freq="D")
    table = rows.pivot_table(index="day", columns="series", values="ret", aggfunc="last", dropna=False)
    return table.reindex(index=calendar, columns=list(series)).astype(float)


def as_row(scope: Scope, said: Said, now: datetime) -> dict[str, Any]:
    """A row of `risk.correlation`; without a matrix where no pair has a number."""
    found, reasons = said.found, words(said)
    row: dict[str, Any] = {
        "scope": scope.name, "method": said.method.value, "regime": said.regime, "as_of": scope.as_of, "issued_at": now,
        "valid_until": scope.valid_until, "reasons": reasons, "names": list(found.names), "days": said.days,
        "common_days": found.common_days.tolist(),
        "missing_pairs": [{"a": a, "b": b, "common_days": days} for a, b, days in found.missing],
    }  # fmt: skip
    if not said.has_number:
        return row | {
            "status": ScoreStatus.INSUFFICIENT_DATA.value, "required": MIN_COMMON_DAYS,
            "received": said.most_common_days, "matrix": None, "measured": None, "low": None, "high": None,
            "shrinkage": None, "first_eigenvalue_share": None, "change_30d_mean": None, "change_30d_largest": None,
            "change_30d_pair": None,
        }  # fmt: skip
    moved = said.moved
    return row | {
        "status": (ScoreStatus.DEGRADED if reasons else ScoreStatus.OK).value, "required": None, "received": None,
        "matrix": _json(found.matrix), "measured": _json(found.measured), "low": _json(said.low),
        "high": _json(said.high), "shrinkage": found.shrinkage, "first_eigenvalue_share": said.common,
        "change_30d_mean": None if moved is None else moved.mean,
        "change_30d_largest": None if moved is None else moved.largest,
        "change_30d_pair": None if moved is None else list(moved.pair),
    }  # fmt: skip


def _json(matrix: np.ndarray[Any, np.dtype[np.float64]]) -> list[list[float | None]]:
    """JSON knows no NaN."""
    return [[None if np.isnan(x) else round(x, _DIGITS) for x in row] for row in matrix.tolist()]
