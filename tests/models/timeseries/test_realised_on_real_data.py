"""Realised measures on recorded prices, with their known errors."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.timeseries.realised import from_candles, from_fixings

pytestmark = pytest.mark.realdata

WRONG_SCALE = (
    "2011-01-25", "2011-01-26", "2011-03-17", "2015-07-29", "2016-03-22", "2016-06-28", "2016-07-12", "2016-12-02",
    "2017-02-15", "2017-06-15", "2017-06-16", "2017-08-08", "2018-07-20",
)  # fmt: skip


def test_wrong_scale_naira_closes_are_held_and_the_devaluation_is_kept(real_data: Path) -> None:
    rows = pd.read_csv(real_data / "fx_daily.csv.gz", usecols=["ts", "base", "quote", "rate", "source"])
    naira = rows[(rows["base"] == "USD") & (rows["quote"] == "NGN") & (rows["source"] == "yahoo")]
    got = from_fixings(pd.Series(naira["rate"].to_numpy(dtype=float), pd.to_datetime(naira["ts"]))).set_index("origin")
    assert got.loc[list(WRONG_SCALE), "is_held"].all()
    assert got["close"].between(110, 500).all()
    devaluation = got.loc["2016-06-22":"2016-06-30"]
    assert devaluation["close"].iloc[-1] > 270
    assert got["rv"].max() == pytest.approx(np.log(280.7 / 199.0) ** 2, rel=0.05)


def test_bitcoin_days_agree_with_the_definition(real_data: Path) -> None:
    bars = pd.read_csv(real_data / "candles_1h" / "BTC.csv.gz")
    close = pd.Series(bars["close"].to_numpy(dtype=float), pd.to_datetime(bars["ts"], utc=True))
    squares = np.log(close).diff() ** 2
    squares[pd.Series(close.index).diff().to_numpy() > np.timedelta64(90, "m")] = np.nan
    by_day = squares.groupby(squares.index.floor("D"))
    count = by_day.count()
    want = (by_day.sum() * 24 / count.clip(lower=1)).where(count >= 22).clip(lower=1e-8)
    got = from_candles(close.to_frame("close"))
    got = got[got["is_origin"]]
    want = want.iloc[: len(got)]
    np.testing.assert_allclose(got["rv"].to_numpy(), want.to_numpy(), rtol=1e-12)
    assert got["rv"].isna().sum() > 5
