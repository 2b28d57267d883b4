"""Another future leaves every column of the past as it was: SQL cannot look ahead where the models may not.

One market in two versions that agree up to a moment. After it prices run elsewhere, volumes are larger, rates devalue,
the street and funding say other things. A hole in the bars and two missing rates lie around that moment.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from models.volatility.feature_set import input_columns
from tests.dbt import raw_market as raw
from tests.dbt.conftest import Build

CUT = pd.Timestamp("2024-03-08", tz="UTC")
BARS = raw.walk("2024-01-01 05:00", 70 * 24, seed=21)
RATES = raw.published("2023-10-01", 170, seed=22)
STREET = pd.DataFrame({"rate": 160.0}, index=pd.date_range("2024-02-20", periods=80, freq="6h", tz="UTC"))
FUNDING = pd.Series(0.0001, pd.date_range("2024-02-20", periods=60, freq="8h", tz="UTC"))


def _another(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same up to the cut, then prices of another scale on another path."""
    rng = np.random.default_rng(seed)
    late = frame.index >= CUT
    drift = np.exp(np.cumsum(rng.normal(0.01, 0.03, late.sum())))
    out = frame.copy()
    out.loc[late] = out.loc[late].mul(3.0 * drift, axis=0)
    return out


def _fill(engine: Engine, bars: pd.DataFrame, rates: pd.DataFrame, street: pd.DataFrame, funding: pd.Series) -> None:
    holes = [*range(400, 401), *range(900, 930), *range(1595, 1603)]  # the last one spans the cut
    for coin in ("BTC", "ETH"):
        raw.add_candles(engine, coin, bars.drop(bars.index[holes]))
    for series in ("USDNGN:official", "USDNGN:yahoo"):
        raw.add_rates(engine, series, rates.drop(rates.index[[40, 158, 160]]))
    raw.add_rates(engine, "USDTNGN:desk", street, "irregular", "street", lag=pd.Timedelta(0))
    raw.add_funding(engine, "BTC:test", funding)


def _past(engine: Engine) -> pd.DataFrame:
    with engine.connect() as connection:
        return pd.read_sql(
            text("select * from features.volatility where as_of <= :cut order by series, as_of"),
            connection,
            params={"cut": CUT.to_pydatetime()},
        )


@pytest.fixture(scope="module")
def pasts(market_engine: Engine, dbt: Build) -> tuple[pd.DataFrame, pd.DataFrame]:
    raw.open_market(market_engine, pd.Timestamp("2024-06-01", tz="UTC").to_pydatetime())
    for coin in ("BTC", "ETH"):
        raw.declare(market_engine, coin, "candles", "1h", "candles", coin, "USDT")
    raw.declare(market_engine, "USDNGN:official", "fx_rates", "1d", "fixings", "USD", "NGN")
    raw.declare(market_engine, "USDNGN:yahoo", "fx_rates", "1d", "ranges", "USD", "NGN")
    raw.declare(market_engine, "USDTNGN:desk", "fx_rates", "irregular", "street", "USDT", "NGN")
    raw.declare(market_engine, "BTC:test", "funding", "8h", "candles", "BTC", "USDT")
    _fill(market_engine, BARS, RATES, STREET, FUNDING)
    dbt("run", "--select", "staging", "features")
    first = _past(market_engine)
    with market_engine.begin() as connection:
        # The only way to another history: the store itself refuses to change one.
        connection.execute(text("truncate raw.candles, raw.fx_rates, raw.funding"))
    late = STREET.index > CUT  # street and funding are known at once, bars and rates when they have closed
    _fill(
        market_engine, _another(BARS, 1), _another(RATES, 2), STREET.assign(rate=STREET["rate"] * np.where(late, 2, 1)),
        FUNDING.where(FUNDING.index <= CUT, 0.003),
    )  # fmt: skip
    dbt("run", "--full-refresh", "--select", "staging", "features")
    return first, _past(market_engine)


@pytest.mark.parametrize("series", ["BTC", "ETH", "USDNGN:official", "USDNGN:yahoo"])
def test_the_past_stays_as_it_was(pasts: tuple[pd.DataFrame, pd.DataFrame], series: str) -> None:
    before, after = (frame[frame["series"] == series].reset_index(drop=True) for frame in pasts)
    assert len(before) > (1_000 if series in ("BTC", "ETH") else 80)
    pd.testing.assert_frame_equal(before, after, check_exact=True)


def test_every_input_of_the_models_is_among_the_columns(pasts: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    there = pasts[0].notna().any()
    assert set(input_columns()) <= set(there.index)
    assert sorted(name for name in input_columns() if not there[name]) == []
