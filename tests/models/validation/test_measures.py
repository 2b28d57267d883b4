"""Losses, tests and scores against hand-computed numbers or an independent library."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from models.validation.coverage import christoffersen, kupiec
from models.validation.losses import diebold_mariano, newey_west_variance, qlike
from models.validation.spikes import area_under_roc, brier_skill, expected_calibration_error


@pytest.mark.parametrize(
    ("realised", "forecast", "cap", "loss"),
    [
        (1.0, 1.0, 10.0, 0.0),
        (2.0, 1.0, 10.0, 1.0 - math.log(2)),
        (1.0, 2.0, 10.0, -0.5 + math.log(2)),
        (464.0, 1.0, 10.0, 10.0),
        (464.0, 1.0, math.inf, 463.0 - math.log(464)),
        (1.0, -1.0, math.inf, math.inf),
    ],
)
def test_qlike_by_hand(realised: float, forecast: float, cap: float, loss: float) -> None:
    assert qlike(np.array([realised]), np.array([forecast]), cap)[0] == pytest.approx(loss)


@given(st.floats(1e-8, 1.0), st.floats(1e-8, 1.0))
def test_qlike_is_never_negative(realised: float, forecast: float) -> None:
    assert qlike(np.array([realised]), np.array([forecast]))[0] >= 0.0


def test_newey_west_without_lags_is_the_variance_of_the_mean() -> None:
    x = np.random.default_rng(0).normal(size=50)
    assert newey_west_variance(x, 0) == pytest.approx(x.var() / 50)


def test_diebold_mariano_has_its_size_and_its_side() -> None:
    rng = np.random.default_rng(1)
    base = rng.exponential(size=500)
    p = [diebold_mariano(base + rng.normal(size=500), base + rng.normal(size=500))[1] for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)
    better, worse = base - 0.3, base + rng.normal(0, 0.1, 500)
    assert diebold_mariano(better, worse)[1] < 1e-6
    assert diebold_mariano(worse, better)[1] > 1 - 1e-6


def test_diebold_mariano_needs_something_to_compare() -> None:
    same = np.ones(20)
    assert diebold_mariano(same, same) == (0.0, 1.0)
    assert all(math.isnan(x) for x in diebold_mariano(same[:9], same[:9]))


def test_spike_scores_agree_with_sklearn() -> None:
    rng = np.random.default_rng(2)
    p = np.round(rng.beta(1, 8, 2000), 2)  # rounded: ties
    y = (rng.random(2000) < p).astype(float)
    assert area_under_roc(y, p) == pytest.approx(metrics.roc_auc_score(y, p))
    want = 1 - metrics.brier_score_loss(y, p) / metrics.brier_score_loss(y, np.full(2000, 0.1))
    assert brier_skill(y, p) == pytest.approx(want)


def test_true_probabilities_are_calibrated_and_others_are_not() -> None:
    rng = np.random.default_rng(3)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(float)
    assert expected_calibration_error(y, p) < 0.02
    assert expected_calibration_error(y, p / 2) > 0.2


def test_no_area_with_one_class() -> None:
    assert math.isnan(area_under_roc(np.zeros(5), np.arange(5.0)))


@pytest.mark.parametrize(("hits", "n"), [(0, 250), (2, 250), (10, 1000), (25, 1000)])
def test_kupiec_is_the_likelihood_ratio(hits: int, n: int) -> None:
    series = np.zeros(n, dtype=bool)
    series[:hits] = True
    likelihood = [stats.binom.logpmf(hits, n, p) for p in (hits / n, 0.01)]
    assert kupiec(series, 0.01) == pytest.approx(stats.chi2.sf(2 * (likelihood[0] - likelihood[1]), 1), abs=1e-9)


def test_christoffersen_by_hand_and_by_clusters() -> None:
    # transitions 00: 4, 01: 2, 10: 1, 11: 2 -> LR = 2 (ln L1 - ln L0)
    hits = np.array([0, 0, 0, 1, 1, 0, 0, 0, 1, 1], dtype=bool)
    dependent = 4 * math.log(4 / 6) + 2 * math.log(2 / 6) + 1 * math.log(1 / 3) + 2 * math.log(2 / 3)
    independent = 5 * math.log(5 / 9) + 4 * math.log(4 / 9)
    assert christoffersen(hits) == pytest.approx(stats.chi2.sf(2 * (dependent - independent), 1))
    rng = np.random.default_rng(4)
    assert christoffersen(np.repeat(rng.random(800) < 0.01, 5)) < 0.01
    assert christoffersen(np.zeros(100, dtype=bool)) == 1.0
