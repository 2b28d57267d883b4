"""Residuals of served forecasts: the promised hour, the likelihood ratio, the CUSUM."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.drift import residuals
from models.drift.alarms import NotEnoughHistory
from models.drift.residuals import REARM_H, ResidualDetector

START = pd.Timestamp("2020-01-01", tz="UTC")
HOURS = 600 * 24
TIMES = pd.date_range(START, periods=HOURS, freq="1h")
QUIET = np.random.default_rng(0).standard_t(3, HOURS)


@pytest.fixture(scope="module")
def detector() -> ResidualDetector:
    return residuals.fit(TIMES, QUIET, 1.0, np.random.default_rng(0))


def test_each_hour_is_measured_by_the_newest_forecast_made_by_its_open() -> None:
    issued = pd.DataFrame(
        {"as_of": [START + pd.Timedelta(hours=2), START + pd.Timedelta(hours=4)], "rv_forecast": [24.0, 24.0 * 4]}
    )
    times = pd.DatetimeIndex([START + pd.Timedelta(hours=h) for h in (1, 2, 3, 4, 27, 28)])
    found = residuals.residuals(times, np.full(6, 2.0), issued)
    np.testing.assert_array_equal(found, [np.nan, 2.0, 2.0, 1.0, 1.0, np.nan])  # no forecast yet; a day later no more


def test_without_forecasts_there_are_no_residuals() -> None:
    nothing = pd.DataFrame({"as_of": pd.DatetimeIndex([], tz="UTC"), "rv_forecast": []})
    assert np.isnan(residuals.residuals(TIMES[:3], np.ones(3), nothing)).all()


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_log_ratio_is_that_of_the_densities(scale: float) -> None:
    z = np.array([-7.0, -0.3, 0.0, 1.0, 40.0])
    expected = stats.t.logpdf(z, 3, scale=scale) - stats.t.logpdf(z, 3)
    np.testing.assert_allclose(residuals.log_ratio(z, scale), expected, rtol=1e-12, atol=1e-12)


def test_one_wick_cannot_fire(detector: ResidualDetector) -> None:
    calm = np.full(2000, 0.8)
    calm[1000] = 1e6
    path = residuals.cusum(calm)
    assert path.max() == pytest.approx(3 * np.log(3.0), rel=1e-6)  # the limit of the ratio for a scale of three
    assert path.max() < detector.threshold.value


def test_a_missing_residual_leaves_the_sum_where_it_was() -> None:
    path = residuals.cusum(np.array([5.0, np.nan, np.nan, 0.0]))
    assert path[0] == path[1] == path[2] > path[3]


@pytest.mark.parametrize(("factor", "within_h"), [(1.5, 240), (2.0, 100), (3.0, 48), (0.5, 120)])
def test_forecasts_off_by_a_factor_are_found(detector: ResidualDetector, factor: float, within_h: int) -> None:
    later = np.random.default_rng(9).standard_t(3, 720)
    times = pd.date_range(TIMES[-1], periods=721, freq="1h")[1:]
    found = residuals.alarms(detector, times, later * factor)
    assert len(found)
    assert found[0] < within_h


def test_honest_forecasts_are_left_alone(detector: ResidualDetector) -> None:
    later = np.random.default_rng(4).standard_t(3, 365 * 24)
    times = pd.date_range(TIMES[-1], periods=len(later), freq="1h")
    assert len(residuals.alarms(detector, times, later)) <= 4  # one a quarter


def test_an_alarm_stands_for_two_weeks(detector: ResidualDetector) -> None:
    found = residuals.alarms(detector, TIMES[:2000], QUIET[:2000] * np.where(np.arange(2000) < 200, 1.0, 3.0))
    assert (np.diff(found) > REARM_H).all()
    assert len(found) == 1


def test_a_stored_detector_is_the_same(detector: ResidualDetector) -> None:
    again = residuals.from_document(json.loads(json.dumps(residuals.as_document(detector))))
    np.testing.assert_array_equal(again.usual, detector.usual)
    assert again.threshold == detector.threshold


@pytest.mark.parametrize(("values", "why"), [(QUIET[:100], "100 hours"), (np.zeros(HOURS), "half of the residuals")])
def test_what_cannot_be_fitted_says_why(values: np.ndarray, why: str) -> None:
    with pytest.raises(NotEnoughHistory, match=why):
        residuals.fit(TIMES[: len(values)], values, 1.0, np.random.default_rng(0))
