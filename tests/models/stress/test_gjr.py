"""The GJR-GARCH of unit variance against the `arch` package and a planted process."""

from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from models.stress.gjr import CAP, MAX_PERSISTENCE, Gjr, fit_gjr, negative_log_likelihood, variance_path

FloatArray = NDArray[np.float64]

PLANTED = Gjr(alpha=0.05, gamma=0.10, beta=0.85, nu=6.0, falls=0.5)


def path_of(gjr: Gjr, y: FloatArray) -> FloatArray:
    return variance_path(y, gjr.omega, gjr.alpha, gjr.gamma, gjr.beta)


def simulated(gjr: Gjr, n: int, seed: int) -> FloatArray:
    z = np.random.default_rng(seed).standard_t(gjr.nu, n) * np.sqrt((gjr.nu - 2) / gjr.nu)
    y, h = np.empty(n), 1.0
    for t in range(n):
        y[t] = np.sqrt(h) * z[t]
        h = gjr.omega + (gjr.alpha + gjr.gamma * (y[t] < 0)) * y[t] ** 2 + gjr.beta * h
    return y


def test_variance_by_hand() -> None:
    gjr = Gjr(alpha=0.1, gamma=0.2, beta=0.5, nu=5.0, falls=0.5)
    assert gjr.persistence == pytest.approx(0.7)
    path = path_of(gjr, np.array([2.0, -1.0]))
    np.testing.assert_allclose(path, [1.0, 0.3 + 0.4 + 0.5, 0.3 + 0.3 + 0.6])


def test_variance_is_that_of_the_library() -> None:
    y = simulated(PLANTED, 500, 1)
    volatility = arch_model(y, mean="Zero", vol="GARCH", p=1, o=1, q=1, rescale=False).volatility
    parameters = np.array([PLANTED.omega, PLANTED.alpha, PLANTED.gamma, PLANTED.beta])
    want = volatility.compute_variance(parameters, y, np.empty(500), 1.0, np.tile([1e-9, 1e9], (500, 1)))
    np.testing.assert_allclose(path_of(PLANTED, y)[:-1], want, rtol=1e-12)


def test_the_likelihood_is_that_of_the_t_law() -> None:
    y = simulated(PLANTED, 300, 2)
    sigma = np.sqrt(path_of(PLANTED, y)[:-1])
    unit = np.sqrt(PLANTED.nu / (PLANTED.nu - 2))
    want = -np.mean(stats.t.logpdf(y / sigma * unit, PLANTED.nu) + np.log(unit / sigma))
    assert negative_log_likelihood(y, PLANTED) == pytest.approx(want, rel=1e-12)


def test_a_planted_process_is_found_again_and_as_the_library_finds_it() -> None:
    y = simulated(PLANTED, 6000, 3)
    y /= y.std()
    found = fit_gjr(y)
    library = arch_model(y, mean="Zero", vol="GARCH", p=1, o=1, q=1, dist="t", rescale=False).fit(disp="off").params
    for mine, planted, name in (
        (found.alpha, 0.05, "alpha[1]"),
        (found.gamma, 0.10, "gamma[1]"),
        (found.beta, 0.85, "beta[1]"),
    ):
        assert mine == pytest.approx(planted, abs=0.04), name
        assert mine == pytest.approx(library[name], abs=0.02), name
    assert found.nu == pytest.approx(library["nu"], rel=0.05)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.floats(0, 0.5), st.floats(0, 0.49))
def test_variance_stays_positive_and_below_its_cap(values: list[float], alpha: float, beta: float) -> None:
    path = path_of(Gjr(alpha, 0.01, beta, 5.0, 0.5), np.array(values))
    assert (path > 0).all()
    assert (path <= CAP).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_is_stationary_even_where_nothing_clusters(seed: int) -> None:
    y = np.random.default_rng(seed).standard_normal(500)
    found = fit_gjr(y / y.std())
    assert 0.0 <= found.persistence <= MAX_PERSISTENCE
    assert found.omega > 0.0
    assert fit_gjr(y / y.std()) == found
