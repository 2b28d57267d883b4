"""Published sizes of scenarios and defaults of shocks against what the recorded market shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.stress.effects import Channel
from models.stress.legs import Leg, LegKind, Market
from models.stress.scenario_library import SCENARIOS
from models.stress.scenarios import replay
from models.stress.shock_catalogue import CATALOGUE
from models.stress.shocks import Gap, Outage, StreetPremium

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def rates(real_data: Path) -> pd.DataFrame:
    return pd.read_csv(real_data / "fx_daily.csv.gz", usecols=["ts", "base", "quote", "rate", "source"])


@pytest.fixture(scope="module")
def street(real_data: Path) -> pd.DataFrame:
    return pd.read_csv(real_data / "fx_parallel.csv.gz", usecols=["ts", "quote", "market", "side", "rate"])


def dollar_in(rates: pd.DataFrame, quote: str, source: str) -> pd.Series:
    rows = rates[(rates.base == "USD") & (rates.quote == quote) & (rates.source == source)]
    return rows.groupby("ts").rate.last()


def bars(real_data: Path, coin: str) -> pd.DataFrame:
    return pd.read_csv(real_data / "candles_1d" / f"{coin}.csv.gz").set_index("ts")


def published(name: str, leg: Leg) -> float:
    """Log worth at the end of the event by its published figures."""
    ready = replay(SCENARIOS[name], Market((leg,), 365.0))
    return float(ready.conditions(1, SCENARIOS[name].days).log_return.sum())


@pytest.mark.parametrize(
    ("name", "quote", "source", "tolerance"),
    [
        ("naira-2016-06", "NGN", "cbn_official", 0.01),
        ("naira-2016-06", "NGN", "yahoo", 0.02),
        ("lira-2021-12", "TRY", "yahoo", 0.10),  # the turn began at a record of the day, closes do not show it
        ("pound-2016-11", "EGP", "yahoo", 0.04),
        ("franc-2015-01", "CHF", "fred_h10", 0.01),
        ("franc-2015-01", "CHF", "yahoo", 0.02),
        ("peso-2015-12", "ARS", "bcra_oficial", 0.05),
        ("peso-2015-12", "ARS", "yahoo", 0.05),
        ("peso-2019-08", "ARS", "bcra_oficial", 0.02),
    ],
)
def test_currencies_moved_as_was_published(
    rates: pd.DataFrame, name: str, quote: str, source: str, tolerance: float
) -> None:
    scenario, leg = SCENARIOS[name], Leg(f"c{quote}", LegKind.FX, 0.01, quote)
    series = dollar_in(rates, quote, source)
    returns = -np.diff(np.log(series.to_numpy()))[:, None]
    dates = series.index.to_numpy().astype("datetime64[D]")[1:]
    ready = replay(scenario, Market((leg,), 252.0), returns, dates)
    assert ready.recorded is not None, ready.reason
    assert ready.recorded.sum() == pytest.approx(published(name, leg), abs=tolerance)


@pytest.mark.parametrize("name", ["naira-2023-06", "naira-2024-01", "pound-2024-03", "peso-2023-12"])
def test_what_came_after_the_record_is_parametrised(rates: pd.DataFrame, name: str) -> None:
    quote = {"naira": "NGN", "pound": "EGP", "peso": "ARS"}[name.split("-")[0]]
    series = dollar_in(rates, quote, "yahoo")
    returns = -np.diff(np.log(series.to_numpy()))[:, None]
    dates = series.index.to_numpy().astype("datetime64[D]")[1:]
    market = Market((Leg(f"c{quote}", LegKind.FX, 0.01, quote),), 252.0)
    assert replay(SCENARIOS[name], market, returns, dates).form == "parametrised"


@pytest.mark.parametrize(
    ("name", "coin", "what", "tolerance"),
    [
        # from the close before: to the first close, to the lowest low, to the last close
        ("black-thursday-2020-03", "BTC", "first", 0.03),
        ("black-thursday-2020-03", "ETH", "first", 0.03),
        ("black-thursday-2020-03", "XLM", "first", 0.05),
        ("may-2021", "BTC", "lowest", 0.03),
        ("may-2021", "ETH", "lowest", 0.06),
        ("may-2021", "BTC", "last", 0.04),
        ("may-2021", "ETH", "last", 0.06),
        ("terra-2022-05", "BTC", "lowest", 0.03),
        ("terra-2022-05", "ETH", "lowest", 0.05),
        ("celsius-2022-06", "BTC", "last", 0.04),
        ("celsius-2022-06", "ETH", "last", 0.04),
        ("ftx-2022-11", "BTC", "last", 0.03),
        ("ftx-2022-11", "ETH", "last", 0.04),
    ],
)
def test_coins_fell_as_was_published(real_data: Path, name: str, coin: str, what: str, tolerance: float) -> None:
    scenario, days = SCENARIOS[name], bars(real_data, coin)
    window = days.loc[scenario.start.isoformat() : scenario.end.isoformat()]
    before = days.close[days.index < scenario.start.isoformat()].iloc[-1]
    recorded = {"first": window.close.iloc[0], "lowest": window.low.min(), "last": window.close.iloc[-1]}[what] / before
    market = Market((Leg(coin, LegKind.COIN, 0.05),), 8760.0)
    course = np.exp(np.cumsum(replay(scenario, market).conditions(1, 24 * scenario.days).log_return[0, :, 0]))
    by_figures = {"first": course[23], "lowest": course.min(), "last": course[-1]}[what]
    assert by_figures == pytest.approx(recorded, abs=tolerance)


def test_dollars_became_cheap_in_coins_after_the_naira_circular(street: pd.DataFrame) -> None:
    hours = street[street.market == "binance_spot_implied"].set_index("ts").rate
    before = hours["2021-02-04T00":"2021-02-04T23"].median()
    lowest = hours["2021-02-05":"2021-02-12"].min()
    leg = Leg("cNGN", LegKind.FX, 0.01, "NGN")
    conditions = replay(SCENARIOS["naira-2021-02"], Market((leg,), 8760.0)).conditions(1, 7 * 24)
    highest_worth = np.exp(np.cumsum(conditions.log_return[0, :, 0])).max()
    assert 1.0 / highest_worth == pytest.approx(lowest / before, abs=0.02)


def test_a_vault_of_coins_meets_the_days_of_march_2020_as_they_were(real_data: Path) -> None:
    closes = pd.concat({coin: bars(real_data, coin).close for coin in ("BTC", "ETH", "XLM")}, axis=1).dropna()
    market = Market(tuple(Leg(coin, LegKind.COIN, 0.05) for coin in closes), 365.0)
    returns = np.diff(np.log(closes.to_numpy()), axis=0)
    ready = replay(
        SCENARIOS["black-thursday-2020-03"], market, returns, closes.index.to_numpy().astype("datetime64[D]")[1:]
    )
    assert ready.form == "recorded"
    path = np.exp(np.cumsum(ready.conditions(1, 5, at_step=2).log_return[0], axis=0))
    expected = (closes.loc["2020-03-13"] / closes.loc["2020-03-11"]).to_numpy()
    np.testing.assert_allclose(path[-1], expected, rtol=1e-12)


def test_feed_outages_come_as_exchanges_stood_still(real_data: Path) -> None:
    """Hours without a bar of any coin: their rate a year, and nine of ten lengths, are those of the default."""
    shock = CATALOGUE["feed_outage"]
    assert isinstance(shock, Outage)
    per_coin = []
    for coin in ("BTC", "ETH", "LTC"):
        times = pd.to_datetime(pd.read_csv(real_data / "candles_1h" / f"{coin}.csv.gz", usecols=["ts"]).ts)
        times = times.sort_values().drop_duplicates()
        missing = times.diff().dt.total_seconds().div(3600).sub(1)
        holes = missing[missing > 0]
        years = (times.max() - times.min()).days / 365.25
        low, high = (24 * one for one in shock.days)
        assert holes.between(low, high).mean() > 0.9
        per_coin.append(len(holes) / years)
    assert np.mean(per_coin) == pytest.approx(shock.rate_per_year, rel=0.25)


def test_default_gaps_are_more_frequent_than_those_on_record(real_data: Path) -> None:
    """A stress, not a forecast: coins fell by five standard deviations in a day once in one to three years."""
    gap = Gap()
    rates, deepest = [], []
    for coin in ("BTC", "ETH", "XRP", "LTC", "ADA", "BNB", "XLM"):
        returns = np.diff(np.log(bars(real_data, coin).close.to_numpy()))
        sigmas = -returns / returns.std()
        rates.append((sigmas > gap.least_sigmas).sum() / (len(returns) / 365.0))
        deepest.append(sigmas.max())
    assert 0.3 < np.mean(rates) < 0.7
    assert gap.rate_per_year > 2 * np.mean(rates)
    # the worst day in six years of a coin is no more than a gap of the default rate reaches in four of ten cases
    reached = (1.0 + (np.mean(deepest) - gap.least_sigmas) / gap.tail_sigmas) ** -gap.alpha
    assert 0.2 < reached < 0.5


def test_default_premium_jumps_lie_between_two_streets(rates: pd.DataFrame, street: pd.DataFrame) -> None:
    """Days on which the dollar rose by 5 % or more on the street alone: Buenos Aires seldom, La Paz often."""
    shock = StreetPremium()
    blue = street[street.market == "blue"].assign(day=lambda f: f.ts.str[:10]).groupby("day").rate.last()
    joint = pd.concat([blue, dollar_in(rates, "ARS", "bcra_oficial")], axis=1, keys=["street", "bank"]).dropna()
    joint = joint["2011-11-01":]  # when exchange controls began
    premium = np.log(joint.street / joint.bank).diff()
    buenos_aires = (premium > shock.rise[0]).sum() / (len(joint) / 245.0)
    adverts = street[(street.quote == "BOB") & (street.side == "buy")]
    moments = pd.to_datetime(adverts.ts, format="ISO8601", utc=True)
    daily = adverts.rate.groupby(moments.dt.date).median()
    jumps = np.log(daily).diff()
    la_paz = (jumps > shock.rise[0]).sum() / (len(daily) / 365.0)
    assert buenos_aires < shock.rate_per_year < la_paz
    assert max(premium.max(), jumps.max()) < shock.rise[1]


def test_recorded_funding_seldom_reaches_what_a_squeeze_begins_with(real_data: Path) -> None:
    squeeze = CATALOGUE["funding_squeeze"]
    funding = pd.read_csv(real_data / "funding.csv.gz")
    binance = funding[(funding.exchange == "binance") & (funding.symbol == "BTCUSDT")].funding_rate.abs()
    least = next(e.size.a for event in squeeze.events(Market((Leg("BTC", LegKind.COIN, 0.04),), 365.0))
                 for e in event.effects if e.channel is Channel.FUNDING)  # fmt: skip
    assert 0.0 < (binance > least).mean() < 0.01
    assert binance.max() < 0.0030
