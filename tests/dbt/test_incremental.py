"""A table built hour by hour equals the table built at once, bit for bit, whatever arrives in between."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from tests.dbt import raw_market as raw
from tests.dbt.conftest import Build

TABLES = ("bar_returns", "candle_volatility", "rate_days", "rate_volatility", "premium", "funding_8h")
# No overlap: what a step stored is found by its stamp alone, so that nothing is found by luck.
HOURLY = ("run", "--select", "features", "--exclude", "tag:deploy", "--vars", "{overlap_minutes: 0}")
BARS = raw.walk("2024-01-01 00:00", 45 * 24, seed=11)
RATES = raw.published("2023-10-01", 120, seed=12)
STREET = pd.DataFrame({"rate": 160.0}, index=pd.date_range("2024-01-20", periods=20, freq="6h", tz="UTC"))
FUNDING = pd.Series(0.0001, pd.date_range("2024-01-20", periods=10, freq="8h", tz="UTC"))
START = 40 * 24  # bars of the first build
COINS = ("BTC", "ETH")


@pytest.fixture(scope="module")
def market(market_engine: Engine, dbt: Build) -> Engine:
    engine = market_engine
    raw.open_market(engine, pd.Timestamp("2024-06-01", tz="UTC").to_pydatetime())
    for coin in COINS:
        raw.declare(engine, coin, "candles", "1h", "candles", coin, "USDT")
        raw.add_candles(engine, coin, BARS.iloc[:START].drop(BARS.index[[200, 930, 931]]))
    raw.declare(engine, "USDNGN:official", "fx_rates", "1d", "fixings", "USD", "NGN")
    raw.declare(engine, "USDNGN:yahoo", "fx_rates", "1d", "ranges", "USD", "NGN")
    raw.declare(engine, "USDTNGN:desk", "fx_rates", "irregular", "street", "USDT", "NGN")
    raw.declare(engine, "BTC:test", "funding", "8h", "candles", "BTC", "USDT")
    raw.add_candles(engine, "XLM", BARS.iloc[:100])  # nobody asked for it yet
    for series in ("USDNGN:official", "USDNGN:yahoo"):
        raw.add_rates(engine, series, RATES.iloc[:112])
    dbt("run", "--select", "staging", "features")
    return engine


def _next_bars(engine: Engine, first: int, last: int) -> None:
    for coin in COINS:
        raw.add_candles(engine, coin, BARS.iloc[START + first : START + last])


def _hour(engine: Engine) -> None:
    _next_bars(engine, 0, 1)


def _hours_and_a_first_street_rate(engine: Engine) -> None:
    _next_bars(engine, 1, 5)
    raw.add_rates(engine, "USDTNGN:desk", STREET.iloc[:12], "irregular", "street", lag=pd.Timedelta(0))
    raw.add_funding(engine, "BTC:test", FUNDING.iloc[:5])


def _a_late_bar_and_a_day_of_rates(engine: Engine) -> None:
    _next_bars(engine, 8, 9)  # three hours are missing
    raw.add_candles(engine, "ETH", BARS.iloc[[930]])  # a hole of last week is filled
    for series in ("USDNGN:official", "USDNGN:yahoo"):
        raw.add_rates(engine, series, RATES.iloc[112:116])


def _the_missing_hours_a_correction_and_a_hold(engine: Engine) -> None:
    _next_bars(engine, 5, 8)
    wrong = BARS.iloc[[500]].assign(close=90.0, low=80.0)
    raw.add_candles(engine, "BTC", wrong, available_at=BARS.index[START])
    raw.hold(engine, "fx_rates", "USDNGN:yahoo", "1d", RATES.index[108])
    raw.hold(engine, "candles", "ETH", "1h", BARS.index[START + 8])  # the newest bar
    raw.add_rates(engine, "USDTNGN:desk", STREET.iloc[12:], "irregular", "street", lag=pd.Timedelta(0))


def _a_human_release_an_older_start_and_a_new_series(engine: Engine) -> None:
    _next_bars(engine, 9, 10)
    raw.declare(engine, "XLM", "candles", "1h", "candles", "XLM", "USDT")
    with engine.connect() as connection:
        entry = connection.execute(text("select id from raw.quarantine where dataset = 'fx_rates'")).scalar_one()
    raw.release(engine, entry, "ada")
    earlier = raw.walk("2023-12-30 00:00", 48, seed=13)
    raw.add_candles(engine, "ETH", earlier)
    raw.add_rates(engine, "USDNGN:official", RATES.iloc[116:])


STEPS = (
    _hour,
    _hours_and_a_first_street_rate,
    _a_late_bar_and_a_day_of_rates,
    _the_missing_hours_a_correction_and_a_hold,
    _a_human_release_an_older_start_and_a_new_series,
)


def _rows(engine: Engine, table: str) -> list[str]:
    query = f"select (to_jsonb(t) - 'built_at')::text from features.{table} as t order by 1"
    with engine.connect() as connection:
        return list(connection.execute(text(query)).scalars())


def _builds(engine: Engine) -> dict[str, int]:
    """Rows of the newest build of each table."""
    counts = {}
    with engine.connect() as connection:
        for table in TABLES:
            newest = f"select max(built_at) from features.{table}"
            query = f"select count(*) from features.{table} where built_at = ({newest})"
            counts[table] = connection.execute(text(query)).scalar_one()
    return counts


def test_built_step_by_step_equals_built_at_once(market: Engine, dbt: Build) -> None:
    touched: dict[Callable[[Engine], None], dict[str, int]] = {}
    for step in STEPS:
        step(market)
        dbt(*HOURLY)
        touched[step] = _builds(market)
    grown = {table: _rows(market, table) for table in TABLES}
    assert all(grown.values())
    dbt(*HOURLY, "--full-refresh")
    for table in TABLES:
        whole = _rows(market, table)
        assert len(whole) == len(grown[table]), table
        assert whole == grown[table], table
    # The tick pays for what is new: one row a coin.
    assert touched[_hour]["bar_returns"] == touched[_hour]["candle_volatility"] == len(COINS)
