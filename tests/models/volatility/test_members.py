"""Each member against its definition or an independent library."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.market import SeriesKind
from models.volatility.ewma import ewma
from models.volatility.garch import GjrGarch
from models.volatility.har import least_squares
from models.volatility.members import MEMBERS, RESERVES, make
from models.volatility.panel import Panel, build_panel

COIN = SeriesKind.CANDLES


@pytest.fixture(scope="module")
def panel(daily: pd.DataFrame) -> Panel:
    return build_panel(daily, COIN)


def test_ewma_by_hand() -> None:
    got = ewma(np.array([np.nan, 1.0, 2.0, np.nan, 4.0]), 0.5)
    np.testing.assert_allclose(got, [np.nan, 1.0, 1.5, 1.5, 2.75])


@given(st.lists(st.floats(1e-8, 1.0), min_size=1, max_size=50))
def test_ewma_stays_between_its_extremes(values: list[float]) -> None:
    got = ewma(np.array(values), 0.94)
    assert (got >= min(values) * (1 - 1e-12)).all()
    assert (got <= max(values) * (1 + 1e-12)).all()


def test_least_squares_agrees_with_the_orthogonal_solution() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(-9, 1, (500, 3))
    x[:, 1] = 0.9 * x[:, 0] + 0.1 * x[:, 1]
    y = 0.3 + x @ np.array([0.5, 0.2, 0.1]) + rng.normal(0, 0.1, 500)
    intercept, slopes, _ = least_squares(x, y)
    want = np.linalg.lstsq(np.column_stack([np.ones(500), x]), y, rcond=None)[0]
    np.testing.assert_allclose([intercept, *slopes], want, rtol=1e-8)


@pytest.mark.parametrize("horizon", [1, 7])
@pytest.mark.parametrize("name", [*MEMBERS, GjrGarch.name])
def test_forecasts_are_finite_and_positive_and_reload_to_the_same_bits(panel: Panel, name: str, horizon: int) -> None:
    member = make(name, COIN, horizon)
    member.fit(panel, panel.grids["AAA"].as_of[800])
    for series in panel.grids:
        got = member.forecast(panel, series, 700)
        assert np.isfinite(got).all()
        assert (got > 0).all()
        again = make(name, COIN, horizon)
        again.restore(member.state())
        assert again.forecast(panel, series, 700).tobytes() == got.tobytes()


@pytest.mark.parametrize("name", [*MEMBERS, GjrGarch.name])
def test_terms_sum_to_the_logarithm_of_the_forecast(panel: Panel, name: str) -> None:
    member = make(name, COIN, 1)
    member.fit(panel, panel.grids["AAA"].as_of[800])
    for row in (400, 700, 900):
        total = math.fsum(term.contribution for term in member.terms(panel, "BBB", row))
        assert total == pytest.approx(math.log(member.forecast(panel, "BBB", row, row + 1)[0]), abs=1e-9)


@pytest.mark.parametrize("name", ["har", "log_har", "log_har_x", "lightgbm"])
@pytest.mark.parametrize("horizon", [1, 7])
def test_purge_open_windows_and_the_embargoed_day_do_not_train(daily: pd.DataFrame, name: str, horizon: int) -> None:
    fitted_at = 800
    original = build_panel(daily, COIN)
    moment = original.grids["AAA"].as_of[fitted_at]
    changed = daily.copy()
    late = pd.DatetimeIndex(changed["as_of"]).tz_localize(None) >= moment
    changed.loc[late, "rv"] *= 50
    states = []
    for rows in (daily, changed):
        member = make(name, COIN, horizon)
        member.fit(build_panel(rows, COIN), moment)
        states.append(member.state())
    assert states[0] == states[1]


def test_an_unknown_member_is_named() -> None:
    choices = ", ".join((*MEMBERS, *RESERVES))
    with pytest.raises(ValueError, match=f"no forecaster named 'arima': choose from {choices}$"):
        make("arima", COIN, 1)
