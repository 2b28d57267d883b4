import math

import numpy as np
import pandas as pd
import pytest

from models.timeseries.realised import from_candles, from_fixings, from_ranges, har_terms, quarantine

HOUR = pd.Timedelta(hours=1)


def _bars(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    index = pd.date_range("2022-01-01", periods=n, freq="1h", tz="UTC")
    return pd.DataFrame({"close": close, "high": close * 1.01, "low": close * 0.99}, index=index)


def _by_day(bars: pd.DataFrame) -> pd.Series:
    """The definition written out day by day: sum of squared returns times 24 / n for n >= 22."""
    out = {}
    for day, part in bars.groupby(bars.index.floor("D")):
        squares = []
        for stamp in part.index:
            if stamp - HOUR in bars.index:
                squares.append(math.log(bars.close[stamp] / bars.close[stamp - HOUR]) ** 2)
        out[day] = sum(squares) * 24 / len(squares) if len(squares) >= 22 else math.nan
    return pd.Series(out)


@pytest.mark.parametrize("holes", [[], [30], [30, 31, 40, 41], [0, 26, 50, 51, 52, 100]])
def test_realised_variance_is_the_scaled_sum_of_hourly_squares(holes: list[int]) -> None:
    bars = _bars(24 * 6)
    bars = bars.drop(bars.index[holes])
    got = from_candles(bars)
    got = got[got["is_origin"]]
    want = _by_day(bars)
    np.testing.assert_allclose(got["rv"].to_numpy(), want.to_numpy(), rtol=1e-12)
    assert list(got["origin"]) == list(want.index.tz_localize(None))


def test_every_hour_looks_back_24_hours() -> None:
    bars = _bars(60)
    got = from_candles(bars).loc["2022-01-02T13:00Z"]
    r = np.log(bars["close"]).diff()["2022-01-01T13:00Z":"2022-01-02T12:00Z"]
    assert got["rv"] == pytest.approx((r**2).sum(), rel=1e-12)
    assert got["ret"] == pytest.approx(r.sum(), rel=1e-12)
    assert got["neg_share"] == pytest.approx((r[r < 0] ** 2).sum() / (r**2).sum(), rel=1e-12)
    assert got["rv_6h"] == pytest.approx((r.iloc[-6:] ** 2).sum(), rel=1e-12)
    assert not got["is_origin"]


def test_a_market_that_stands_still_has_the_floor() -> None:
    bars = _bars(72)
    bars["close"] = 7.0
    assert from_candles(bars)["rv"].iloc[-1] == 1e-8


@pytest.mark.parametrize(
    ("prices", "accepted", "held"),
    [
        ([150, 151, 1.5, 152], [150, 151, 151, 152], [2]),  # one print of wrong scale
        ([150, 1.51, 1.52, 151], [150, 150, 150, 151], [1, 2]),  # two running
        ([199, 280, 281, 283, 282], [199, 199, 199, 283, 282], [1, 2]),  # a devaluation, believed at its third print
        ([199, 280, 390, 391, 392], [199, 199, 199, 199, 392], [1, 2, 3]),  # prints that disagree start again
    ],
)
def test_quarantine(prices: list[float], accepted: list[float], held: list[int]) -> None:
    good, flags = quarantine(pd.Series(prices, pd.date_range("2016-06-20", periods=len(prices)), dtype=float))
    np.testing.assert_allclose(good.to_numpy(), accepted)
    assert list(np.flatnonzero(flags)) == held


def test_fixings_use_business_days_and_the_last_of_repeated_dates() -> None:
    dates = pd.to_datetime(["2023-01-05", "2023-01-06", "2023-01-07", "2023-01-09", "2023-01-09"])
    got = from_fixings(pd.Series([100.0, 101.0, 50.0, 99.0, 102.0], dates))
    assert list(got["origin"].dt.day) == [5, 6, 9]
    assert got.index[-1] == pd.Timestamp("2023-01-10", tz="UTC")
    assert got["rv"].iloc[-1] == pytest.approx(math.log(102 / 101) ** 2, rel=1e-12)
    assert math.isnan(got["rv"].iloc[0])


def test_ranges_are_parkinson_unless_the_range_is_an_error_of_the_feed() -> None:
    n = 40
    close = pd.Series(np.linspace(1.0, 1.02, n), pd.bdate_range("2022-01-03", periods=n))
    bars = pd.DataFrame({"open": close, "high": close * 1.004, "low": close * 0.996, "close": close})
    bars.iloc[30, 1] = bars.iloc[30, 1] * 1.5
    got = from_ranges(bars)
    assert got["rv"].iloc[29] == pytest.approx(math.log(1.004 / 0.996) ** 2 / (4 * math.log(2)), rel=1e-12)
    assert got["rv"].iloc[30] == pytest.approx(math.log(close.iloc[30] / close.iloc[29]) ** 2, rel=1e-12)


def test_har_terms_need_four_fifths_of_their_window() -> None:
    got = har_terms(np.array([1.0, 2.0, np.nan, 4.0, 5.0, np.nan, np.nan]), (1, 5))
    np.testing.assert_allclose(got[:, 0], [1, 2, np.nan, 4, 5, np.nan, np.nan])
    np.testing.assert_allclose(got[:, 1], [np.nan, np.nan, np.nan, np.nan, 3.0, np.nan, np.nan])
