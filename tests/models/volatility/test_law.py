import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.volatility.calibration import PULL, Calibration, calibrated_path, fit_calibration, last_known
from models.volatility.law import Law, known_errors, spike_path, spike_probability, volatility_score

PROBABILITY = st.floats(1e-4, 1 - 1e-4)


@pytest.mark.parametrize(("p", "score"), [(0.10, 50.0), (4 / 13, 80.0), (0.50, 90.0), (19 / 28, 95.0)])
def test_published_points_of_the_score(p: float, score: float) -> None:
    assert float(volatility_score(p)) == pytest.approx(score, abs=1e-9)


@given(PROBABILITY)
def test_a_score_can_be_read_back(p: float) -> None:
    assert float(spike_probability(volatility_score(p))) == pytest.approx(p, rel=1e-9)


@given(PROBABILITY, PROBABILITY)
def test_more_risk_is_a_higher_score(a: float, b: float) -> None:
    low, high = sorted((a, b))
    if high - low > 1e-9:
        assert 0 <= volatility_score(low) < volatility_score(high) <= 100


def test_missing_stays_missing() -> None:
    assert math.isnan(float(volatility_score(math.nan)))


def _law(seed: int = 0) -> Law:
    return Law(tuple(np.random.default_rng(seed).normal(-0.2, 0.8, 400).tolist()))


def test_the_law_is_nearly_normal_when_its_errors_are() -> None:
    law = _law()
    assert law.probability_above(-0.2) == pytest.approx(0.5, abs=0.05)
    assert law.quantile(0.9) == pytest.approx(-0.2 + 0.8 * 1.2816, abs=0.1)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_higher_threshold_is_less_likely(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert _law().probability_above(low) >= _law().probability_above(high)


@given(st.floats(0.01, 0.99))
def test_quantile_inverts_the_law(p: float) -> None:
    law = _law()
    assert 1 - law.probability_above(law.quantile(p)) == pytest.approx(p, abs=1e-9)


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_path_is_the_law_of_what_was_known(horizon: int) -> None:
    rng = np.random.default_rng(2)
    n, window = 600, 200
    target = np.exp(rng.normal(-9, 1, n))
    target[50:60] = np.nan
    forecast = np.exp(rng.normal(-9, 0.3, n))
    threshold = np.full(n, math.exp(-8))
    path = spike_path(target, forecast, threshold, horizon, window)
    for row in (100, 300, 599):
        errors = known_errors(target, forecast, row + 1, horizon, window)
        assert len(errors) <= 2 * window
        law = Law(tuple(errors))
        want = law.probability_above(math.log(threshold[row] / forecast[row])) if law.is_usable else math.nan
        assert path[row] == pytest.approx(want, rel=1e-9, nan_ok=True)
    shaken = target.copy()
    shaken[400 - horizon :] *= 100  # the window of row 399 - horizon closes on day 399, one day of embargo before 400
    again = spike_path(shaken, forecast, threshold, horizon, window)
    assert again[:401].tobytes() == path[:401].tobytes()


def test_calibration_is_the_identity_until_it_has_outcomes() -> None:
    p, y = np.full(149, 0.3), np.zeros(149)
    assert fit_calibration(p, y, 1) == Calibration()
    np.testing.assert_allclose(Calibration()(np.array([0.2, 0.7])), [0.2, 0.7])


def test_calibration_corrects_a_forecaster_that_cries_wolf() -> None:
    rng = np.random.default_rng(4)
    truth = rng.beta(1, 9, 365)
    outcome = (rng.random(365) < truth).astype(float)
    claimed = 4 * truth / (1 + 3 * truth)  # odds four times too high
    fitted = fit_calibration(claimed, outcome, 1)
    before, after = claimed.mean() - truth.mean(), float(fitted(claimed).mean()) - truth.mean()
    assert 0 < after < 0.7 * before  # a year of outcomes weighs a third of the identity's prior
    assert fitted.outcomes == 365


def test_the_level_is_fitted_to_the_slope_that_is_used() -> None:
    rng = np.random.default_rng(6)
    p = 1 / (1 + np.exp(-rng.normal(-0.5, 0.3, 12_000)))  # little spread, yet it sorts all spikes: a slope over 4
    outcome = (p > np.quantile(p, 0.8)).astype(float)
    fitted = fit_calibration(p, outcome, 1)
    assert fitted.slope == 4.0
    assert outcome.sum() - float(fitted(p).sum()) == pytest.approx(PULL * fitted.shift, abs=1e-6)


def test_overlapping_outcomes_move_the_map_less() -> None:
    rng = np.random.default_rng(4)
    claimed, outcome = np.full(365, 0.3), (rng.random(365) < 0.1).astype(float)
    level = [float(fit_calibration(claimed, outcome, horizon)(0.3)) for horizon in (1, 5, 7)]
    assert outcome.mean() < level[0] < level[1] < level[2] < 0.3


@given(st.integers(0, 50), PROBABILITY, PROBABILITY)
def test_calibration_keeps_the_order(seed: int, a: float, b: float) -> None:
    rng = np.random.default_rng(seed)
    fitted = fit_calibration(rng.random(200), (rng.random(200) < 0.1).astype(float), 1)
    low, high = sorted((a, b))
    if high - low > 1e-6:
        assert fitted(low) < fitted(high)


def test_calibration_rests_on_known_outcomes_only() -> None:
    rng = np.random.default_rng(0)
    p, y = rng.random(700), (rng.random(700) < 0.1).astype(float)
    known_p, known_y = last_known(p, y, 601, 7)
    assert len(known_p) == 365
    assert known_p[-1] == p[592]  # row 592: 592 + 7 + 1 = 600, the newest row
    path = calibrated_path(p, y, 7, [400, 500, 600])
    assert np.isnan(path[:400]).all()
    y[593:] = 1 - y[593:]
    assert calibrated_path(p, y, 7, [400, 500, 600]).tobytes() == path.tobytes()
    assert known_y.sum() > 0
