"""The chain's filter against enumeration and an independent library; its estimation against planted chains."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from models.regimes.chain import EVIDENCE, MIN_OBSERVED, Chain, fit_chain
from models.regimes.hidden_chain import em_step, filter_chain

FloatArray = NDArray[np.float64]

MOVE = np.array([[0.90, 0.08, 0.02], [0.10, 0.85, 0.05], [0.05, 0.15, 0.80]])
MEAN = np.array([-8.0, -6.5, -4.5])
START = np.array([0.5, 0.3, 0.2])
SD = 0.9


def planted(n: int, seed: int = 0, move: FloatArray = MOVE) -> tuple[FloatArray, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    states = np.zeros(n, dtype=np.int64)
    for t in range(1, n):
        states[t] = rng.choice(3, p=move[states[t - 1]])
    return MEAN[states] + SD * rng.standard_normal(n), states


def by_enumeration(x: FloatArray, evidence: float) -> tuple[FloatArray, float]:
    """Sum over all 3^n paths of states: the definition itself."""
    n = len(x)
    density = stats.norm.pdf(np.where(np.isnan(x), 0.0, x)[:, None], MEAN, SD) ** evidence
    density[np.isnan(x)] = 1.0
    weight = np.zeros((n, 3))
    likelihood = 0.0
    for t in range(1, n + 1):
        total = 0.0
        for path in itertools.product(range(3), repeat=t):
            p = START[path[0]] * math.prod(MOVE[a, b] for a, b in itertools.pairwise(path))
            p *= math.prod(density[k, state] for k, state in enumerate(path))
            weight[t - 1, path[-1]] += p
            total += p
        weight[t - 1] /= total
        likelihood = math.log(total)
    return weight, likelihood


@pytest.mark.parametrize("evidence", [1.0, 0.5])
@pytest.mark.parametrize("missing", [(), (2,), (0,), (5,), (1, 2, 3)], ids=str)
def test_the_filter_is_the_sum_over_all_paths(missing: tuple[int, ...], evidence: float) -> None:
    x, _ = planted(6, seed=3)
    x[list(missing)] = np.nan
    want, likelihood = by_enumeration(x, evidence)
    got, value = filter_chain(x, START, MOVE, MEAN, SD, evidence)
    np.testing.assert_allclose(got, want, rtol=1e-10)
    assert value == pytest.approx(likelihood, rel=1e-12)


def test_the_filter_and_the_likelihood_agree_with_statsmodels() -> None:
    x, _ = planted(600, seed=1)
    library = MarkovRegression(x, k_regimes=3, trend="c", switching_variance=False)
    # The library's first probabilities lie two moves before its first observation.
    library.initialize_known(np.linalg.solve(MOVE.T @ MOVE.T, START))
    transposed = MOVE.T[:-1].T.ravel(order="F")  # p[0->0], p[1->0], p[2->0], p[0->1], ...
    parameters = np.concatenate([transposed, MEAN, [SD**2]])
    filtered = library.filter(parameters)
    got, value = filter_chain(x, START, MOVE, MEAN, SD)
    np.testing.assert_allclose(got, filtered.filtered_marginal_probabilities, atol=1e-9)
    assert value == pytest.approx(filtered.llf, rel=1e-9)


def test_a_missing_day_carries_the_prediction() -> None:
    x, _ = planted(50)
    x[30:33] = np.nan
    got, _ = filter_chain(x, START, MOVE, MEAN, SD)
    for t in (30, 31, 32):
        np.testing.assert_allclose(got[t], got[t - 1] @ MOVE, rtol=1e-12)


def test_no_outlier_and_no_length_underflows() -> None:
    x, _ = planted(20_000)
    x[100], x[200] = 400.0, -400.0
    got, value = filter_chain(x, START, MOVE, MEAN, SD)
    assert np.isfinite(got).all()
    assert np.isfinite(value)
    np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-12)
    assert got[100, 2] > 0.999
    assert got[200, 0] > 0.999


@given(st.lists(st.floats(-12, 0) | st.just(math.nan), min_size=2, max_size=40), st.floats(0.01, 3.0))
@settings(max_examples=60)
def test_a_wilder_day_never_makes_the_stressed_state_less_likely(values: list[float], more: float) -> None:
    x = np.array(values)
    if np.isnan(x[-1]):
        return
    wilder = x.copy()
    wilder[-1] += more
    before, after = (filter_chain(each, START, MOVE, MEAN, SD, EVIDENCE)[0][-1] for each in (x, wilder))
    assert after[2] >= before[2] - 1e-12
    assert after[0] <= before[0] + 1e-12


@given(st.integers(0, 10_000), st.integers(5, 60))
@settings(max_examples=30)
def test_a_step_never_lowers_the_posterior(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, _ = planted(n, seed)
    x[rng.random(n) < 0.1] = np.nan
    move = rng.dirichlet(np.ones(3), size=3) * 0.97 + 0.01
    move /= move.sum(axis=1, keepdims=True)
    mean, sd, last = np.sort(rng.normal(-6, 2, 3)), 1.5, -math.inf
    prior = rng.uniform(0.5, 5.0, (3, 3))
    for _ in range(15):
        move, mean, sd, value = em_step(x, START, move, mean, sd, EVIDENCE, prior, -6.0, 1.0, 2.0)
        assert value >= last - 1e-8 * max(1.0, abs(value))
        last = value
    np.testing.assert_allclose(move.sum(axis=1), 1.0, atol=1e-12)


def test_a_planted_chain_is_found_again_in_the_order_of_its_means() -> None:
    move = np.array([[0.97, 0.02, 0.01], [0.02, 0.96, 0.02], [0.01, 0.03, 0.96]])
    x, states = planted(3000, seed=5, move=move)
    chain = fit_chain(x)
    assert chain is not None
    np.testing.assert_allclose(chain.mean, MEAN, atol=0.15)
    assert chain.spread == pytest.approx(SD, abs=0.1)
    assert list(chain.mean) == sorted(chain.mean)
    assert np.mean(chain.filtered(x).argmax(axis=1) == states) > 0.85


def test_the_same_data_give_the_same_bytes_and_survive_the_store() -> None:
    x, _ = planted(400, seed=2)
    first, second = fit_chain(x), fit_chain(x.copy())
    assert first is not None
    assert first == second
    again = Chain.of_dict(first.as_dict())
    assert again == first
    day = np.datetime64("2024-02-29T00:00:00", "us")
    assert first.version(day) == again.version(day)
    assert first.version(day).startswith("hmm1-20240229-")
    other = fit_chain(x + 0.1)
    assert other is not None
    assert other.version(day) != first.version(day)


@pytest.mark.parametrize(("observed", "fitted"), [(MIN_OBSERVED - 1, False), (MIN_OBSERVED, True)])
def test_too_few_days_are_no_fit(observed: int, fitted: bool) -> None:
    x = np.concatenate([planted(observed)[0], np.full(100, np.nan)])
    assert (fit_chain(x) is not None) is fitted


def test_a_series_that_never_moves_is_fitted_without_a_division_by_nothing() -> None:
    chain = fit_chain(np.full(400, -9.0))
    assert chain is not None
    assert chain.spread > 0
    assert np.isfinite(chain.filtered(np.array([-9.0, -2.0, math.nan]))).all()


def test_one_still_day_is_a_calm_day_and_no_state_of_its_own() -> None:
    x, _ = planted(600, seed=4)
    still = x.copy()
    still[::100] = math.log(1e-8)
    chain, usual = fit_chain(still), fit_chain(x)
    assert chain is not None
    assert usual is not None
    np.testing.assert_allclose(chain.mean, usual.mean, atol=0.2)
