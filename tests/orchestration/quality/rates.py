"""Rows of daily rates for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from models.contracts.market import COLUMNS, Calendar, Dataset, SeriesKind, SeriesSpec

MONDAY = datetime(2022, 1, 3, tzinfo=UTC)


def weekday(n: int) -> datetime:
    """The n-th weekday from Monday, 3 January 2022 on."""
    return MONDAY + timedelta(days=7 * (n // 5) + n % 5)


def spec(series: str, kind: SeriesKind = SeriesKind.FIXINGS, interval: str = "1d") -> SeriesSpec:
    pair, source = series.split(":", 1)
    return SeriesSpec(
        series, Dataset.FX_RATES, kind, Calendar.FX_WEEK, interval, 86400, 432000, pair[:3], pair[3:], source
    )


def frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows given as dicts with `series`, `ts`, `rate` and whatever else differs; known a day later by default."""
    usual: dict[str, Any] = dict.fromkeys(COLUMNS[Dataset.FX_RATES])
    usual |= {
        "interval": "1d", "kind": "official", "side": "mid", "source_regime": "free", "source": "test",
        "provider": "test", "data_mode": "replay",
    }  # fmt: skip
    full = [
        usual
        | {"base": row["series"][:3], "quote": row["series"][3:6], "available_at": row["ts"] + timedelta(days=1)}
        | row
        for row in rows
    ]
    return pd.DataFrame(full)[list(COLUMNS[Dataset.FX_RATES])]


def daily(series: str, rates: Sequence[float], first: int = 0) -> pd.DataFrame:
    return frame([{"series": series, "ts": weekday(first + i), "rate": str(rate)} for i, rate in enumerate(rates)])
