"""log-HAR-X against an ordinary regression, and what its prior, its clipping and its missing inputs do."""

import math

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility import har_x
from models.volatility.har import least_squares
from models.volatility.har_x import LogHarX
from models.volatility.panel import Panel, build_panel
from models.volatility.targets import forward_mean, training_stop

COIN = SeriesKind.CANDLES
FITTED_AT = 850


@pytest.fixture(scope="module")
def panel(daily: pd.DataFrame) -> Panel:
    return build_panel(daily, COIN)


def _fitted(panel: Panel, horizon: int = 1) -> LogHarX:
    member = LogHarX(COIN, horizon)
    member.fit(panel, panel.grids["AAA"].as_of[FITTED_AT])
    return member


def test_without_a_prior_it_is_an_ordinary_regression(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har_x, "PRIOR_ROWS", 0.0)
    member = _fitted(panel)
    stop = training_stop(FITTED_AT, 1)
    target = np.log(forward_mean(panel.grids["BBB"].rv, 1))[:stop]
    rows = np.array([[term.value for term in member.terms(panel, "BBB", row)[1:]] for row in range(stop)])
    usable = np.isfinite(target) & np.isfinite(rows).all(axis=1)
    _, slopes, means = least_squares(rows[usable], target[usable])
    np.testing.assert_allclose(member.parameters["BBB"].slopes, slopes, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(member.parameters["BBB"].means, means, rtol=1e-9)


def test_a_strong_prior_gives_every_series_the_slopes_of_the_panel(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread = {}
    for rows in (0.0, 1000.0, 1e9):
        monkeypatch.setattr(har_x, "PRIOR_ROWS", rows)
        slopes = np.array([fitted.slopes for fitted in _fitted(panel).parameters.values()])
        spread[rows] = float(slopes.std(axis=0).sum())
    assert spread[0.0] > spread[1000.0] > 1e3 * spread[1e9]


def test_an_input_that_never_moves_gets_no_slope(daily: pd.DataFrame) -> None:
    member = _fitted(build_panel(daily.assign(neg_share=np.nan), COIN))
    slopes = dict(zip(member.names, member.parameters["AAA"].slopes, strict=True))
    assert slopes["neg_share"] == pytest.approx(0.0, abs=1e-12)
    assert abs(slopes["rv_1d"]) > 0.1


def test_weekdays_enter_short_horizons_only() -> None:
    assert "sunday" in LogHarX(COIN, 1).names
    assert "sunday" not in LogHarX(COIN, 7).names


def test_a_day_that_stood_still_counts_as_a_quiet_one(daily: pd.DataFrame) -> None:
    last = daily.groupby("series")["as_of"].idxmax()
    forecasts = []
    for variance in (1e-8, 1e-7):
        rows = daily.copy()
        rows.loc[last, "rv"] = variance
        panel = build_panel(rows, COIN)
        member = _fitted(panel)
        terms = {term.name: term.value for term in member.terms(panel, "AAA", 939)}
        assert terms["rv_1d"] == pytest.approx(terms["rv_30d"] - 2.0)
        forecasts.append(member.forecast(panel, "AAA", 939)[0])
    assert forecasts[0] == pytest.approx(forecasts[1], rel=0.2)


def test_a_series_that_was_not_fitted_has_no_forecast(panel: Panel, daily: pd.DataFrame) -> None:
    member = _fitted(panel)
    other = build_panel(daily.assign(series=daily["series"] + "X"), COIN)
    assert np.isnan(member.forecast(other, "AAAX")).all()


def test_usual_level_is_the_forecast_at_the_means(panel: Panel) -> None:
    member = _fitted(panel)
    usual = member.terms(panel, "AAA", 900)[0]
    assert math.log(usual.value) == pytest.approx(usual.contribution, abs=1e-9)
