from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from models.contracts.market import DataMode, Dataset
from orchestration.checks.expectations import judge

HOUR = pd.Timedelta(hours=1)


def candles(**changes: Any) -> pd.DataFrame:
    ts = pd.date_range("2026-01-01", periods=24, freq="h", tz="UTC")
    frame = pd.DataFrame(
        {
            "series": "BTC", "interval": "1h", "ts": ts, "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0,
            "volume_base": 1.0, "volume_quote": None, "available_at": ts + HOUR, "data_mode": "simulated",
        }
    )  # fmt: skip
    for name, value in changes.items():
        frame.loc[3, name] = value
    return frame


def rates(**changes: Any) -> pd.DataFrame:
    ts = pd.date_range("2026-01-01", periods=24, freq="D", tz="UTC")
    frame = pd.DataFrame(
        {
            "series": "USDNGN:official", "interval": "1d", "ts": ts, "rate": 1500.0, "bid": None, "ask": None,
            "low": 1490.0, "high": 1510.0, "side": "mid", "source_regime": "free", "available_at": ts + HOUR,
            "data_mode": "simulated",
        }
    ).astype({"bid": float, "ask": float})  # fmt: skip
    for name, value in changes.items():
        frame.loc[3, name] = value
    return frame


@pytest.mark.parametrize(
    ("dataset", "frame", "columns"),
    [
        (Dataset.CANDLES, candles(), []),
        (Dataset.CANDLES, candles(close=-11.0), [("close",), ("close", "low")]),
        (Dataset.CANDLES, candles(high=8.0), [("high", "close"), ("high", "low"), ("high", "open")]),
        (Dataset.CANDLES, candles(volume_base=-1.0), [("volume_base",)]),
        (Dataset.CANDLES, candles(data_mode="live"), [("data_mode",)]),
        (Dataset.CANDLES, candles(available_at=pd.Timestamp("2025-12-31", tz="UTC")), [("available_at", "ts")]),
        (Dataset.CANDLES, candles(ts=pd.Timestamp("2026-01-01", tz="UTC")), [("series", "interval", "ts")]),
        (Dataset.FX_RATES, rates(), []),
        (Dataset.FX_RATES, rates(rate=0.0), [("rate",)]),
        (Dataset.FX_RATES, rates(bid=2.0, ask=1.0), [("ask", "bid")]),
        (Dataset.FX_RATES, rates(low=1600.0), [("high", "low")]),
        (Dataset.FX_RATES, rates(side="middle"), [("side",)]),
    ],
)
def test_a_wrong_row_is_found_and_named(dataset: Dataset, frame: pd.DataFrame, columns: list[tuple[str, ...]]) -> None:
    verdict = judge(dataset, frame, DataMode.SIMULATED)
    assert [v.columns for v in verdict.violations] == columns
    assert verdict.rows == 24
    for violation in verdict.violations:
        expected = "2026-01-01 00:00" if violation.columns == ("series", "interval", "ts") else frame["ts"][3]
        assert str(expected)[:16] in violation.offenders[0]
        assert frame["series"][3] in violation.offenders[0]


def test_no_more_than_five_offenders_are_listed() -> None:
    verdict = judge(Dataset.CANDLES, candles().assign(volume_base=-1.0), DataMode.SIMULATED)
    assert [(v.count, len(v.offenders)) for v in verdict.violations] == [(24, 5)]


def test_nothing_to_judge_is_not_a_failure() -> None:
    assert judge(Dataset.CANDLES, candles().iloc[:0], DataMode.SIMULATED).violations == ()


@pytest.mark.parametrize(
    ("dataset", "column", "value"),
    [(Dataset.FUNDING, "funding_rate", 0.4), (Dataset.OPEN_INTEREST, "oi_base", -1.0)],
)
def test_derivatives_have_bounds(dataset: Dataset, column: str, value: float) -> None:
    ts = pd.date_range("2026-01-01", periods=3, freq="8h", tz="UTC")
    frame = pd.DataFrame(
        {"series": "BTC:binance", "interval": "8h", "ts": ts, "funding_rate": 0.0001, "oi_base": 5.0, "oi_usd": 9.0,
         "available_at": ts, "data_mode": "simulated"}
    )  # fmt: skip
    assert judge(dataset, frame, DataMode.SIMULATED).violations == ()
    found = judge(dataset, frame.assign(**{column: value}), DataMode.SIMULATED).violations
    assert [(v.columns, v.count) for v in found] == [((column,), 3)]
