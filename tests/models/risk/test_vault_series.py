import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.risk.vault_series import Leg, shrunk_correlations, vault_rows
from models.volatility.bundle_fit import fit_bundle
from models.volatility.walk_forward import walk_forward

COIN, FIXING = SeriesKind.CANDLES, SeriesKind.FIXINGS


def _rows(series: str, ret: np.ndarray, rv: np.ndarray, start: str = "2022-01-02", fx: bool = False) -> pd.DataFrame:
    as_of = pd.date_range(start, periods=len(ret), freq="D", tz="UTC")
    out = pd.DataFrame({"series": series, "as_of": as_of, "rv": rv, "ret": ret, "is_held": False, "share_imputed": 0.0})
    closed = (as_of - pd.Timedelta(days=1)).day_of_week >= 5  # the day that ends at as_of is a weekend
    return out[~closed] if fx else out


@pytest.fixture
def legs_of_60_days() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 60
    return pd.concat(
        [
            _rows("BTC", rng.normal(0, 0.03, n), np.full(n, 9e-4)),
            _rows("USDNGN:x", rng.normal(0, 0.01, n), np.full(n, 1e-4), fx=True),
        ]
    )


def test_one_leg_is_its_own_variance_times_the_weight_squared(legs_of_60_days: pd.DataFrame) -> None:
    got = vault_rows(legs_of_60_days, [Leg("BTC", COIN, 0.5)], "v")
    np.testing.assert_allclose(got["rv"], 0.25 * 9e-4)
    np.testing.assert_allclose(got["ret"], 0.5 * legs_of_60_days.query("series == 'BTC'")["ret"])
    assert set(got["series"]) == {"vault:v"}
    assert got["approximate"].all()


def test_a_closed_market_adds_nothing_and_is_flagged(legs_of_60_days: pd.DataFrame) -> None:
    got = vault_rows(legs_of_60_days, [Leg("BTC", COIN, 0.5), Leg("USDNGN:x", FIXING, 0.5)], "v")
    weekend = got["origin"].dt.day_of_week >= 5
    np.testing.assert_allclose(got.loc[weekend, "rv"], 0.25 * 9e-4)
    np.testing.assert_allclose(got.loc[weekend, "closed_share"], 0.5)
    assert (got.loc[~weekend, "closed_share"] == 0).all()
    independent = 0.25 * (9e-4 + 1e-4)
    assert (abs(got.loc[~weekend, "rv"] - independent) <= 2 * 0.25 * 3e-4).all()


def test_an_inverted_leg_moves_the_other_way() -> None:
    ret = np.random.default_rng(1).normal(0, 0.02, 200)
    rows = pd.concat([_rows(name, ret, np.full(200, 4e-4)) for name in ("A", "B")])
    together = vault_rows(rows, [Leg("A", COIN, 0.5), Leg("B", COIN, 0.5)], "v").iloc[-1]
    opposed = vault_rows(rows, [Leg("A", COIN, 0.5), Leg("B", COIN, 0.5, invert=True)], "v").iloc[-1]
    assert together["rv"] == pytest.approx(4e-4, rel=1e-9)  # the same asset twice: correlation 1 is not shrunk
    assert opposed["rv"] == 1e-8  # perfectly hedged: the floor
    assert opposed["ret"] == pytest.approx(0.0, abs=1e-15)


def test_rates_alone_have_no_weekend(legs_of_60_days: pd.DataFrame) -> None:
    got = vault_rows(legs_of_60_days, [Leg("USDNGN:x", FIXING, 1.0, invert=True)], "v")
    assert (got["origin"].dt.day_of_week < 5).all()
    np.testing.assert_allclose(got["rv"], 1e-4)


def test_a_rate_that_falls_silent_is_missing_not_closed() -> None:
    n = 40
    coin, rate = _rows("BTC", np.zeros(n), np.full(n, 9e-4)), _rows("R", np.zeros(n), np.full(n, 1e-4), fx=True)
    rows = pd.concat([coin, rate[rate["as_of"] <= rate["as_of"].iloc[12]]])
    got = vault_rows(rows, [Leg("BTC", COIN, 0.5), Leg("R", FIXING, 0.5)], "v")
    last = rate["as_of"].iloc[12]
    age = (got["as_of"] - last).dt.days
    assert got.loc[age.between(1, 5), "rv"].notna().all()
    assert got.loc[age > 5, "rv"].isna().all()


def test_an_open_day_without_a_print_counts_as_imputed(legs_of_60_days: pd.DataFrame) -> None:
    legs = [Leg("BTC", COIN, 0.6), Leg("USDNGN:x", FIXING, 0.2)]
    wednesday = pd.Timestamp("2022-01-20", tz="UTC")  # what was published on Wednesday 19th
    hole = legs_of_60_days[(legs_of_60_days["series"] == "BTC") | (legs_of_60_days["as_of"] != wednesday)]
    whole, got = (vault_rows(rows, legs, "v").set_index("as_of") for rows in (legs_of_60_days, hole))
    assert (whole["share_imputed"] == 0.0).all()
    assert got["share_imputed"].drop(wednesday).eq(0.0).all()
    assert got.loc[wednesday, "share_imputed"] == pytest.approx(0.25)
    assert got.loc[wednesday, "rv"] == pytest.approx(0.36 * 9e-4)


@pytest.mark.parametrize("late_h", [1, 5])
def test_a_rate_that_is_ahead_of_late_coins_does_not_reach_into_the_future(
    hourly_coin: pd.DataFrame, late_h: int
) -> None:
    midnight = hourly_coin["as_of"].max().normalize()
    newest = midnight - pd.Timedelta(hours=late_h)  # the coin is late, the rate of that day is already there
    rate = _rows("R", np.zeros(29), np.full(29, 1e-4), start="2022-01-02")
    rows = pd.concat([hourly_coin[hourly_coin["as_of"] <= newest], rate[rate["as_of"] <= midnight]])
    got = vault_rows(rows, [Leg("AAA", COIN, 0.5), Leg("R", FIXING, 0.5)], "v", hour=newest.hour)
    assert got["as_of"].iloc[-1] == newest
    assert got["rv"].notna().all()


def test_any_hour_of_the_day(hourly_coin: pd.DataFrame) -> None:
    got = vault_rows(hourly_coin, [Leg("AAA", COIN, 0.6)], "v", hour=13)
    assert set(got["as_of"].dt.hour) == {13}
    own = hourly_coin[hourly_coin["as_of"].dt.hour == 13]
    np.testing.assert_allclose(got["rv"], np.maximum(0.36 * own["rv"], 1e-8))


@pytest.fixture
def hourly_coin() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    as_of = pd.date_range("2022-01-01", periods=24 * 30, freq="1h", tz="UTC")
    return pd.DataFrame(
        {
            "series": "AAA",
            "as_of": as_of,
            "rv": rng.uniform(1e-4, 1e-3, len(as_of)),
            "ret": rng.normal(0, 0.02, len(as_of)),
        }
    )


def test_correlations_know_the_past_only_and_are_proper() -> None:
    rng = np.random.default_rng(4)
    common = rng.normal(size=(300, 1))
    ret = 0.01 * (common + 0.7 * rng.normal(size=(300, 3)))
    closed = np.zeros(ret.shape, dtype=bool)
    closed[::7, 2] = True
    got = shrunk_correlations(ret, closed)
    true = 1 / (1 + 0.49)
    assert abs(got[-100:, 0, 1].mean() - true) < 0.15
    assert (np.linalg.eigvalsh(got) > -1e-9).all()
    np.testing.assert_allclose(np.diagonal(got, axis1=1, axis2=2), 1.0)
    ret[200:] *= -5
    assert shrunk_correlations(ret, closed)[:200].tobytes() == got[:200].tobytes()


@pytest.mark.parametrize(
    ("legs", "message"),
    [
        ([Leg("BTC", COIN, 0.0)], "no risky leg"),
        ([Leg("ETH", COIN, 0.5)], "leg ETH has no rows that close at 00:00"),
    ],
)
def test_a_vault_that_cannot_be_built_says_why(legs_of_60_days: pd.DataFrame, legs: list[Leg], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vault_rows(legs_of_60_days, legs, "v")


def test_a_vault_is_scored_by_its_own_series() -> None:
    rng = np.random.default_rng(5)
    n = 950
    sigma = np.exp(0.5 * (-7 + np.cumsum(rng.normal(0, 0.05, n))))
    names = ("BTC", "ETH")
    rows = pd.concat([_rows(name, rng.normal(0, 1, n) * sigma, sigma**2 * rng.uniform(0.7, 1.4, n)) for name in names])
    vault = vault_rows(rows, [Leg(name, COIN, 0.4) for name in names], "main")
    frame = walk_forward(vault, SeriesKind.VAULT, 1, ["ewma", "log_har"])
    got = fit_bundle(vault, SeriesKind.VAULT, 1, "log_har", frame).predict(vault)
    assert got["series"].tolist() == ["vault:main"]
    assert got["status"].tolist() == ["ok"]
    assert 0 <= got["score"].iloc[0] <= 100
