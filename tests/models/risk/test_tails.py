"""Tails of known laws: closed forms against samples, integrals and scipy's own fit."""

import math

import numpy as np
import pytest
from arch.univariate import StudentsT
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from models.risk.tails import (
    FREEDOM_BOUNDS,
    StudentT,
    cornish_fisher_tail,
    fit_student_t,
    gaussian_tail,
    historical_tail,
)


def _by_integral(law: stats.rv_continuous, level: float) -> tuple[float, float]:
    """The definitions: a quantile, and the mean of the quantiles beyond it."""
    return -float(law.ppf(level)), -integrate.quad(law.ppf, 0.0, level)[0] / level


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_gaussian_tail_is_the_closed_form(level: float) -> None:
    assert gaussian_tail(0.001, 0.02, level) == pytest.approx(_by_integral(stats.norm(0.001, 0.02), level), rel=1e-6)


def test_gaussian_figures_of_the_textbook() -> None:
    assert gaussian_tail(0.0, 1.0, 0.01) == pytest.approx((2.3263, 2.6652), abs=1e-4)
    assert gaussian_tail(0.0, 1.0, 0.05) == pytest.approx((1.6449, 2.0627), abs=1e-4)


@pytest.mark.parametrize("level", [0.05, 0.01])
@pytest.mark.parametrize("freedom", [2.5, 4.0, 30.0])
def test_student_tail_is_the_closed_form(freedom: float, level: float) -> None:
    got = StudentT(freedom, 0.001, 0.02).tail(level)
    assert got == pytest.approx(_by_integral(stats.t(freedom, 0.001, 0.02), level), rel=1e-5)


def test_student_quantile_is_that_of_arch() -> None:
    unit_variance = StudentT(5.0, 0.0, math.sqrt(3 / 5))
    assert unit_variance.tail(0.01)[0] == pytest.approx(-float(StudentsT().ppf(0.01, [5.0])))


@pytest.mark.parametrize(("freedom", "seed"), [(2.6, 0), (4.0, 1), (12.0, 2)])
def test_student_fit_is_the_maximum_likelihood_of_scipy(freedom: float, seed: int) -> None:
    x = stats.t.rvs(freedom, loc=0.1, scale=0.02, size=1000, random_state=np.random.default_rng(seed))
    got = fit_student_t(x)
    assert got is not None
    assert (got.freedom, got.location, got.scale) == pytest.approx(stats.t.fit(x), rel=1e-3)


@pytest.mark.parametrize(
    ("sample", "fits"),
    [
        (np.array([]), False),
        (np.zeros(400), False),
        (np.concatenate([np.zeros(201), np.linspace(-1, 1, 199)]), False),
        (np.concatenate([np.zeros(200), np.linspace(-1, 1, 200)]), True),
    ],
    ids=["empty", "still", "mostly-still", "half-still"],
)
def test_a_sample_that_stands_still_has_no_law(sample: np.ndarray, fits: bool) -> None:
    law = fit_student_t(sample)
    assert (law is not None) is fits
    if law is not None:
        assert law.scale > 0.01
        assert FREEDOM_BOUNDS[0] <= law.freedom <= FREEDOM_BOUNDS[1] * (1 + 1e-12)


def test_historical_tail_by_hand() -> None:
    sample = np.array([-5.0, -4.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert historical_tail(sample, 0.1) == (4.0, 4.5)
    assert historical_tail(sample, 0.05) == (4.5, 5.0)  # half-way between the first two; one lies beyond


def _bent(skew: float, excess: float, x: np.ndarray) -> np.ndarray:
    return x + (x**2 - 1) * skew / 6 + (x**3 - 3 * x) * excess / 24 - (2 * x**3 - 5 * x) * skew**2 / 36


@pytest.mark.parametrize(("skew", "excess"), [(0.0, 0.0), (-0.3, 1.0), (0.2, 3.0)])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_cornish_fisher_is_the_mean_of_its_own_quantiles(skew: float, excess: float, level: float) -> None:
    var, es = cornish_fisher_tail(0.001, 0.02, skew, excess, level)
    mean = integrate.quad(lambda u: _bent(skew, excess, stats.norm.ppf(u)), 0.0, level)[0] / level
    assert var == pytest.approx(-(0.001 + 0.02 * _bent(skew, excess, stats.norm.ppf(level))))
    assert es == pytest.approx(-(0.001 + 0.02 * mean), rel=1e-5)
    if skew == excess == 0.0:
        assert (var, es) == pytest.approx(gaussian_tail(0.001, 0.02, level))


@pytest.mark.parametrize(
    ("skew", "excess", "speaks"),
    [(0.0, 0.0, True), (0.0, 7.9, True), (0.0, 8.1, False), (0.0, -0.1, False), (1.0, 4.0, True), (1.5, 1.0, False)],
)
def test_cornish_fisher_speaks_only_where_its_quantiles_are_in_order(skew: float, excess: float, speaks: bool) -> None:
    var, es = cornish_fisher_tail(0.0, 1.0, skew, excess, 0.01)
    ordered = (np.diff(_bent(skew, excess, np.linspace(-20, 20, 4001))) >= 0).all()
    assert (not math.isnan(var), not math.isnan(es), ordered) == (speaks, speaks, speaks)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.sampled_from([0.01, 0.05, 0.5]))
def test_a_shortfall_is_never_under_its_var(values: list[float], level: float) -> None:
    var, es = historical_tail(np.array(values), level)
    assert es >= var - 1e-12
    assert -max(values) <= var <= -min(values)
