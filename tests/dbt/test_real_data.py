"""Recorded markets through the same SQL: coins with outages, a feed with wrong-scale prints, an official bulletin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from models.timeseries.realised import from_candles, from_fixings, from_ranges, quarantine
from tests.dbt import raw_market as raw
from tests.dbt.conftest import Build

pytestmark = pytest.mark.realdata
OHLC = ["open", "high", "low", "rate"]


def _recorded(path: Path, **where: str) -> pd.DataFrame:
    frame = pd.read_csv(path)
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame.set_index(pd.to_datetime(frame["ts"], utc=True)).rename(columns={"close": "rate"})


def _store(engine: Engine, series: str, kind: str, rates: pd.DataFrame) -> pd.DataFrame:
    """Rows and holds, the way ingestion leaves them: of two prints of a day the later is the newest revision."""
    raw.declare(engine, series, "fx_rates", "1d", kind, series[:3], series[3:6])
    raw.add_rates(engine, series, rates)
    last = rates[~rates.index.duplicated(keep="last") & (rates.index.day_of_week < 5)]
    if kind == "ranges":
        last = last[(last[OHLC] > 0).all(axis=1)]
    _, held = quarantine(last["rate"])
    for ts in last.index[held.to_numpy()]:
        raw.hold(engine, "fx_rates", series, "1d", ts)
    return last


def test_recorded_markets_agree_with_pandas(market_engine: Engine, dbt: Build, real_data: Path) -> None:
    raw.open_market(market_engine, pd.Timestamp("2024-01-01", tz="UTC").to_pydatetime())
    bars = _recorded(real_data / "candles_1h" / "XLM.csv.gz").rename(columns={"rate": "close"})
    raw.declare(market_engine, "XLM", "candles", "1h", "candles", "XLM", "USDT")
    raw.add_candles(market_engine, "XLM", bars[["open", "high", "low", "close", "volume_base"]])
    naira = _recorded(real_data / "fx_daily_ohlc.csv.gz", base="USD", quote="NGN", source="yahoo")
    naira = _store(market_engine, "USDNGN:yahoo", "ranges", naira)
    bulletin = _recorded(real_data / "fx_daily.csv.gz", base="KES", quote="UGX", source="cbk_2016_2025")
    bulletin = _store(market_engine, "KESUGX:cbk", "fixings", bulletin[["rate"]])
    dbt("run", "--select", "staging", "features")

    expected = {
        "XLM": from_candles(bars).query("is_origin and ret == ret"),
        "USDNGN:yahoo": from_ranges(naira.rename(columns={"rate": "close"})).iloc[1:],
        "KESUGX:cbk": from_fixings(bulletin["rate"]).iloc[1:],
    }
    with market_engine.connect() as connection:
        rows = pd.read_sql(text("select * from features.volatility where is_origin order by as_of"), connection)
        gaps = connection.execute(text("select slots_missing from features.gap_summary where series = 'XLM'")).scalar()
    for series, wanted in expected.items():
        found = rows[rows["series"] == series]
        assert list(pd.to_datetime(found["as_of"], utc=True)) == list(wanted.index), series
        for column in ("rv", "ret"):
            np.testing.assert_allclose(
                found[column].to_numpy(dtype=float), wanted[column].to_numpy(dtype=float), rtol=0, atol=1e-12
            )
    assert 88 <= gaps <= 128

    break_day = rows[(rows["series"] == "USDNGN:yahoo") & (rows["ret"] > 0.25)]
    assert [day.isoformat() for day in break_day["origin"]] == [
        "2016-06-24"
    ]  # the devaluation of 22 June, dated two prints later
