"""A small market with every wart, built once: the tables agree with an independent computation in pandas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from models.timeseries.realised import from_candles, from_fixings, from_ranges, har_terms, quarantine
from tests.dbt import raw_market as raw
from tests.dbt.conftest import Build

CONTRACT = (
    "series", "kind", "as_of", "origin", "is_origin", "known_at", "rv", "ret", "close", "n_obs", "n_expected",
    "share_imputed", "is_held", "unchanged_share", "rv_w", "rv_m", "ewma_rv", "vol_of_vol", "neg_share", "jump_share",
    "rv_6h", "rv_12h", "parkinson", "garman_klass", "rogers_satchell", "atr_14", "ema_ratio", "zscore_30", "vwap_gap",
    "volume_z", "premium", "premium_age_h", "funding_rate", "dow", "is_month_end",
)  # fmt: skip
NOW = pd.Timestamp("2024-06-01", tz="UTC")
BARS = raw.walk("2024-01-01 05:00", 60 * 24, seed=1)
RANGES = raw.published("2024-01-01", 120, seed=2)
FIXINGS = raw.published("2024-01-01", 120, seed=3, price=130.0)[["rate"]]


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    """Outages of one, of two and of thirty hours, and an hour whose price is held."""
    gone = [*range(100, 101), *range(300, 302), *range(500, 530)]
    return BARS.drop(BARS.index[gone])


@pytest.fixture(scope="module")
def fixings() -> pd.DataFrame:
    """Three wrong-scale prints, then a real devaluation of a fifth."""
    rates = FIXINGS.copy()
    rates.iloc[[38, 59, 60], 0] /= 100
    rates.iloc[90:, 0] *= 1.25
    return rates


@pytest.fixture(scope="module")
def ranges() -> pd.DataFrame:
    """A range of a feed error, and a close of wrong scale inside an ordinary bar."""
    rates = RANGES.copy()
    rates.iloc[70, 2] *= 4
    rates.iloc[50, 0] /= 10
    return rates


def _hold_by_rule(engine: Engine, series: str, rates: pd.Series) -> None:
    weekdays = rates[rates.index.day_of_week < 5]
    _, held = quarantine(weekdays)
    for ts in weekdays.index[held.to_numpy()]:
        entry = raw.hold(engine, "fx_rates", series, "1d", ts)
        raw.release(engine, entry, "rule")


@pytest.fixture(scope="module")
def built(market_engine: Engine, dbt: Build, bars: pd.DataFrame, fixings: pd.DataFrame, ranges: pd.DataFrame) -> Engine:
    raw.open_market(market_engine, NOW.to_pydatetime())
    raw.declare(market_engine, "BTC", "candles", "1h", "candles", "BTC", "USDT")
    raw.declare(market_engine, "USDNGN:official", "fx_rates", "1d", "fixings", "USD", "NGN")
    raw.declare(market_engine, "USDKES:yahoo", "fx_rates", "1d", "ranges", "USD", "KES")
    raw.declare(market_engine, "USDTNGN:desk", "fx_rates", "irregular", "street", "USDT", "NGN")
    raw.declare(market_engine, "BTC:test", "funding", "8h", "candles", "BTC", "USDT")
    late = bars.iloc[[800]]
    raw.add_candles(market_engine, "BTC", bars.drop(late.index))
    raw.add_candles(market_engine, "BTC", late, available_at=late.index[0] + 4 * raw.HOUR)
    wrong = bars.iloc[[700]].assign(close=lambda f: f["close"] * 50)
    raw.add_candles(market_engine, "BTC", wrong, available_at=wrong.index[0] + 2 * raw.HOUR)
    raw.hold(market_engine, "candles", "BTC", "1h", wrong.index[0])
    raw.add_rates(market_engine, "USDNGN:official", fixings)
    raw.add_rates(market_engine, "USDKES:yahoo", ranges)
    _hold_by_rule(market_engine, "USDNGN:official", fixings["rate"])
    _hold_by_rule(market_engine, "USDKES:yahoo", ranges["rate"])
    street = pd.DataFrame({"rate": [200.0, 210.0, 220.0]}, index=pd.date_range("2024-02-06 10:00", periods=3, tz="UTC"))
    raw.add_rates(market_engine, "USDTNGN:desk", street, "irregular", "street", lag=pd.Timedelta(0))
    raw.add_funding(
        market_engine, "BTC:test",
        pd.Series([0.0001, 0.0002], pd.date_range("2024-02-01", periods=2, freq="8h", tz="UTC")),
    )  # fmt: skip
    dbt("build")  # models, unit tests and data tests: a failure raises
    return market_engine


def _features(engine: Engine, series: str) -> pd.DataFrame:
    query = text("select * from features.volatility where series = :series order by as_of")
    with engine.connect() as connection:
        frame = pd.read_sql(query, connection, params={"series": series})
    return frame.assign(as_of=pd.to_datetime(frame["as_of"], utc=True)).set_index("as_of")


def _agree(actual: pd.DataFrame, expected: pd.DataFrame, columns: list[str]) -> None:
    for name in columns:
        found, wanted = actual[name].to_numpy(dtype=float), expected[name].to_numpy(dtype=float)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-13, err_msg=name)


def test_the_columns_are_the_contract(built: Engine) -> None:
    assert tuple(_features(built, "BTC").reset_index()[list(CONTRACT)].columns) == CONTRACT
    assert set(_features(built, "BTC").reset_index().columns) == set(CONTRACT)


def test_coins_agree_with_pandas_at_every_hour(built: Engine, bars: pd.DataFrame) -> None:
    actual, expected = _features(built, "BTC"), from_candles(bars)
    expected = expected[expected["ret"].notna()]
    assert list(actual.index) == list(expected.index)
    _agree(actual, expected, ["rv", "ret", "close", "n_obs", "neg_share", "jump_share", "rv_6h", "rv_12h", "parkinson"])
    assert (pd.to_datetime(actual["origin"]).to_numpy() == expected["origin"].to_numpy()).all()
    assert (actual["is_origin"] == expected["is_origin"]).all()


def test_daily_terms_of_coins_run_along_the_same_hour(built: Engine) -> None:
    frame = _features(built, "BTC")
    day = frame[frame.index.hour == 13]
    terms = har_terms(day["rv"].to_numpy(dtype=float), (1, 7, 30))
    np.testing.assert_allclose(day["rv_w"].to_numpy(dtype=float), terms[:, 1], rtol=1e-12)
    np.testing.assert_allclose(day["rv_m"].to_numpy(dtype=float), terms[:, 2], rtol=1e-12)
    smoothed = day["rv"].astype(float).ewm(alpha=0.06, adjust=False, ignore_na=True).mean()
    np.testing.assert_allclose(day["ewma_rv"].to_numpy(dtype=float), smoothed.to_numpy(), rtol=1e-12)
    close = day["close"]
    fast, slow = (close.ewm(span=span, adjust=False).mean() for span in (7, 30))
    np.testing.assert_allclose(day["ema_ratio"].to_numpy(), (fast / slow).to_numpy(), rtol=1e-12)
    logs = np.log(close)
    z = (logs - logs.rolling(30, min_periods=20).mean()) / logs.rolling(30, min_periods=20).std()
    np.testing.assert_allclose(day["zscore_30"].to_numpy(dtype=float), z.to_numpy(), rtol=1e-8)
    moves = np.log(day["rv"].astype(float)).diff()
    np.testing.assert_allclose(
        day["vol_of_vol"].to_numpy(dtype=float), moves.rolling(30, min_periods=10).std().to_numpy(), rtol=1e-8
    )


def test_imputed_share_counts_missing_hours_of_thirty_days(built: Engine, bars: pd.DataFrame) -> None:
    frame = _features(built, "BTC")
    present = pd.Series(1.0, bars.index).reindex(BARS.index).fillna(0.0)
    share = 1 - present.rolling(720, min_periods=1).mean()
    expected = share.set_axis(share.index + raw.HOUR).loc[frame.index]
    np.testing.assert_allclose(frame["share_imputed"].to_numpy(), expected.to_numpy(), atol=1e-12)


def test_a_held_revision_shows_and_the_believed_one_is_used(built: Engine, bars: pd.DataFrame) -> None:
    frame = _features(built, "BTC")
    at = bars.index[700] + raw.HOUR
    assert frame.loc[at, "is_held"]
    assert frame.loc[at, "close"] == pytest.approx(bars["close"].iloc[700])
    assert frame["is_held"].sum() == 1


def test_fixings_agree_with_pandas(built: Engine, fixings: pd.DataFrame) -> None:
    actual, expected = _features(built, "USDNGN:official"), from_fixings(fixings["rate"]).iloc[1:]
    assert list(actual.index) == list(expected.index)
    _agree(actual, expected, ["rv", "ret", "close", "is_held"])
    unchanged = (expected["ret"].abs() < 1e-9).rolling(22, min_periods=5).mean()
    np.testing.assert_allclose(actual["unchanged_share"].to_numpy(dtype=float), unchanged.to_numpy(), atol=1e-12)
    assert actual["is_held"].sum() == 5  # three wrong prints, and the two for which the devaluation waits
    terms = har_terms(actual["rv"].to_numpy(dtype=float), (1, 5, 22))
    np.testing.assert_allclose(actual["rv_w"].to_numpy(dtype=float), terms[:, 1], rtol=1e-12)


def test_ranges_agree_with_pandas(built: Engine, ranges: pd.DataFrame) -> None:
    actual, expected = _features(built, "USDKES:yahoo"), from_ranges(ranges.rename(columns={"rate": "close"})).iloc[1:]
    assert list(actual.index) == list(expected.index)
    _agree(actual, expected, ["rv", "ret", "close", "is_held"])
    assert actual["rv"].max() < 0.05  # the range of the feed error gave way to the squared return


def test_calendar_terms_describe_the_first_day_forecast(built: Engine) -> None:
    rates, coins = _features(built, "USDNGN:official"), _features(built, "BTC")
    friday, last = pd.Timestamp("2024-02-03", tz="UTC"), pd.Timestamp("2024-02-29", tz="UTC")
    assert rates.loc[friday, "dow"] == 1  # published on Friday, the next rate is of Monday
    assert rates.loc[last, ["dow", "is_month_end"]].tolist() == [4, True]
    assert coins.loc[friday, "dow"] == 6
    assert coins.loc[last, "is_month_end"]


def test_premium_and_funding_are_those_known_at_the_moment(built: Engine) -> None:
    rates, coins = _features(built, "USDNGN:official"), _features(built, "BTC")
    at = pd.Timestamp("2024-02-08", tz="UTC")
    assert rates.loc[at, "premium"] == pytest.approx(np.log(210.0 / rates.loc[at, "close"]))
    assert rates.loc[at, "premium_age_h"] == 14
    assert rates.loc[pd.Timestamp("2024-02-06", tz="UTC"), "premium"] is None or np.isnan(
        rates.loc[pd.Timestamp("2024-02-06", tz="UTC"), "premium"]
    )
    assert coins.loc[pd.Timestamp("2024-02-01 07:00", tz="UTC"), "funding_rate"] == 0.0001
    assert coins.loc[pd.Timestamp("2024-02-01 08:00", tz="UTC"), "funding_rate"] == 0.0002
    assert np.isnan(coins.loc[pd.Timestamp("2024-02-03", tz="UTC"), "funding_rate"])


def test_a_row_says_when_its_inputs_were_known(built: Engine, bars: pd.DataFrame) -> None:
    """One bar arrived three hours late: the three rows that closed before it arrived say so, all others are on time."""
    with built.connect() as connection:
        late = connection.execute(
            text("select as_of, known_at from features.volatility where known_at > as_of order by as_of")
        ).all()
    at = bars.index[800]
    assert [(row.as_of, row.known_at) for row in late] == [(at + k * raw.HOUR, at + 4 * raw.HOUR) for k in (1, 2, 3)]


def test_every_column_in_the_database_is_documented(built: Engine, dbt_target: Path) -> None:
    manifest = json.loads((dbt_target / "manifest.json").read_text())
    documented = {
        (node["schema"], node["name"], column)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        for column in node["columns"]
    }
    with built.connect() as connection:
        found = connection.execute(
            text(
                "select table_schema, table_name, column_name from information_schema.columns"
                " where table_schema in ('staging', 'features', 'serving')"
            )
        ).all()
    assert {tuple(row) for row in found} == documented


def test_a_second_build_writes_nothing_and_keeps_the_views(built: Engine, dbt: Build) -> None:
    views = "select oid, relname from pg_class where relkind = 'v' and relnamespace::regnamespace::text in "
    views += "('staging', 'features', 'serving') order by 2"
    newest = "select max(built_at) from features.candle_volatility"
    with built.connect() as connection:
        before = (connection.execute(text(views)).all(), connection.execute(text(newest)).scalar_one())
    dbt("run", "--exclude", "calendar")
    with built.connect() as connection:
        after = (connection.execute(text(views)).all(), connection.execute(text(newest)).scalar_one())
    assert before == after
