"""Correlations against sklearn and numpy where nothing is missing; where something is, the promises that are left."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import covariance

from models.risk.correlation import (
    MIN_COMMON_DAYS,
    SMALLEST_EIGENVALUE,
    ewma,
    exponential_weights,
    ledoit_wolf,
    raw_correlation,
)
from models.risk.correlation_stability import MEAN_BLOCK_DAYS, change, first_eigenvalue_share, interval

NAMES = ("a", "b", "c", "d")


def _returns(n: int, seed: int = 0, rho: float = 0.5, k: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 1))
    return 0.02 * (np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.standard_normal((n, k)))


@pytest.mark.parametrize("n", [61, 365])
def test_equal_weights_are_ledoit_and_wolf(n: int) -> None:
    ret = _returns(n) * np.array([1.0, 5.0, 0.1, 2.0])
    standard = ret / np.sqrt((ret**2).mean(axis=0))
    want, shrinkage = covariance.ledoit_wolf(standard, assume_centered=True)
    got = ledoit_wolf(ret, NAMES)
    assert got.shrinkage == pytest.approx(shrinkage)
    np.testing.assert_allclose(got.matrix, want, atol=1e-12)
    assert got.missing == []


def test_exponential_weights_are_the_recursion() -> None:
    ret = _returns(200)
    moments = np.zeros((4, 4))
    for row in ret:
        moments = 0.97 * moments + 0.03 * np.outer(row, row)
    deviation = np.sqrt(np.diag(moments))
    got = raw_correlation(ret, exponential_weights(len(ret)))
    np.testing.assert_allclose(got, moments / np.outer(deviation, deviation), atol=1e-12)


def _slow_shrinkage(ret: np.ndarray, weights: np.ndarray) -> float:
    """The definition, pair by pair."""
    noise = signal = 0.0
    for i, j in ((i, j) for i in range(ret.shape[1]) for j in range(ret.shape[1]) if i != j):
        both = np.isfinite(ret[:, i]) & np.isfinite(ret[:, j])
        w = weights[both] / weights[both].sum()
        x, y = (column / np.sqrt(w @ column**2) for column in (ret[both, i], ret[both, j]))
        r = w @ (x * y)
        noise += (w @ (x * y - r * (x**2 + y**2) / 2) ** 2) * (w @ w)
        signal += r**2
    return float(noise / signal)


def test_fading_days_are_shrunk_by_the_noise_of_a_correlation() -> None:
    ret = _returns(200, 11)
    ret[::4, 1] = np.nan
    assert ewma(ret, NAMES).shrinkage == pytest.approx(_slow_shrinkage(ret, exponential_weights(200)))


def test_the_noise_of_a_correlation_is_that_of_theory() -> None:
    """Gaussian returns: the variance of r is (1 - r^2)^2 / n."""
    ret = _returns(20_000, 12, k=2)
    r = raw_correlation(ret, np.ones(20_000))[0, 1]
    want = (1 - r**2) ** 2 / 20_000 / r**2
    assert ewma(ret, NAMES[:2], decay=1.0).shrinkage == pytest.approx(want, rel=0.05)


def test_a_pair_is_judged_on_its_common_days_alone() -> None:
    ret = _returns(300)
    ret[::3, 3] = np.nan
    both = np.isfinite(ret[:, 3])
    x, y = ret[both, 0], ret[both, 3]
    got = raw_correlation(ret, np.ones(300))
    assert got[0, 3] == pytest.approx((x * y).mean() / np.sqrt((x**2).mean() * (y**2).mean()))
    assert ledoit_wolf(ret, NAMES).common_days[0].tolist() == [300, 300, 300, 200]


def test_pairs_without_enough_common_days_are_missing_and_named() -> None:
    ret = _returns(200)
    ret[: 200 - MIN_COMMON_DAYS, 1] = np.nan
    ret[MIN_COMMON_DAYS - 1 :, 2] = np.nan
    ret[:, 3] = 0.0  # a rate that stood still
    got = ledoit_wolf(ret, NAMES)
    assert got.missing == [("a", "c", 59), ("a", "d", 200), ("b", "c", 0), ("b", "d", 60), ("c", "d", 59)]
    assert np.isnan(got.matrix[0, 2])
    assert np.isnan(got.matrix[2, 0])
    assert np.isfinite(got.matrix[0, 1])
    assert (np.diag(got.matrix) == 1.0).all()
    assert got.filled[0, 2] == 0.0


@example(np.where(np.arange(65).reshape(13, 5) == 1, 0.0, 1.0), True, 1, 3)
@given(
    arrays.arrays(
        float,
        st.tuples(st.integers(2, 30), st.integers(2, 6)),
        elements=st.one_of(st.just(np.nan), st.just(0.0), st.floats(-1, 1)),
    ),
    st.booleans(),
    st.integers(1, 10),
    st.integers(1, 3),
)
def test_no_matrix_is_indefinite(ret: np.ndarray, fading: bool, least: int, kinds: int) -> None:
    names = [str(i) for i in range(ret.shape[1])]
    groups = [str(i % kinds) for i in range(ret.shape[1])]
    got = (ewma if fading else ledoit_wolf)(ret, names, groups, least=least)
    assert np.linalg.eigvalsh(got.filled)[0] >= SMALLEST_EIGENVALUE / 2
    assert (np.diag(got.matrix) == 1.0).all()
    np.testing.assert_array_equal(got.matrix, got.matrix.T)
    assert (np.abs(got.filled) <= 1.0 + 1e-12).all()
    assert 0.0 <= got.shrinkage <= 1.0


def test_each_group_of_pairs_is_shrunk_by_its_own_noise() -> None:
    """Three coins of one factor and three rates of none: what the rates deserve is not taken from the coins."""
    coins, rates = _returns(365, 20, 0.6, 3), 0.005 * np.random.default_rng(21).standard_normal((365, 3))
    ret, names = np.hstack([coins, rates]), list("abcdef")
    groups = ["coin"] * 3 + ["rate"] * 3
    for make in (ledoit_wolf, ewma):
        got, alone, mixed = make(ret, names, groups), make(coins, names[:3]), make(ret, names)
        np.testing.assert_array_equal(got.measured, mixed.measured)
        np.testing.assert_allclose(got.matrix[:3, :3], alone.matrix, atol=1e-12)
        np.testing.assert_allclose(got.matrix[3:, 3:], make(rates, names[3:]).matrix, atol=1e-12)
        assert (alone.shrinkage, mixed.shrinkage) == (pytest.approx(0, abs=0.06), pytest.approx(0.15, abs=0.12))
        assert np.abs(got.matrix[:3, 3:]).max() < 0.7 * np.abs(got.measured[:3, 3:]).max()
        kept = np.abs(np.triu(got.matrix, 1)).sum() / np.abs(np.triu(got.measured, 1)).sum()
        assert got.shrinkage == pytest.approx(1 - kept)


def test_the_order_of_groups_does_not_matter() -> None:
    ret = _returns(200, 22)
    turned = ledoit_wolf(ret[:, ::-1], NAMES[::-1], ["x", "y", "x", "y"]).matrix[::-1, ::-1]
    np.testing.assert_allclose(ledoit_wolf(ret, NAMES, ["y", "x", "y", "x"]).matrix, turned, atol=1e-12)


def test_pairs_that_contradict_each_other_are_shrunk_until_they_do_not() -> None:
    """a with b and b with c on other days than a with c: +1, +1 and -1 at once cannot be."""
    x = np.random.default_rng(1).standard_normal(100)
    none = np.full(100, np.nan)
    days = [np.column_stack(part) for part in ((x, x, none), (none, x, x), (x, none, -x))]
    got = ledoit_wolf(np.concatenate(days), NAMES[:3])
    assert got.shrinkage == pytest.approx(0.5, abs=1e-6)  # eigenvalues 2, 2, -1 become 1.5, 1.5, 0
    assert np.linalg.eigvalsh(got.matrix)[0] > 0


def test_names_that_do_not_fit_are_refused() -> None:
    for make in (ledoit_wolf, ewma):
        with pytest.raises(ValueError, match="4 returns a day need as many names and groups, not 3 and 3"):
            make(_returns(100), NAMES[:3], ["x"] * 3)
        with pytest.raises(ValueError, match="not 4 and 2"):
            make(_returns(100), NAMES, ["x", "y"])


def test_change_names_the_pair_that_moved_most() -> None:
    before, now = ledoit_wolf(_returns(300, 5), NAMES), ledoit_wolf(_returns(300, 6, 0.2), NAMES)
    found = change(before, now)
    assert found is not None
    pairs = np.triu_indices(4, 1)
    moved = np.abs(now.matrix - before.matrix)[pairs]
    assert (found.mean, found.largest) == (pytest.approx(moved.mean()), pytest.approx(moved.max()))
    at = int(np.argmax(moved))
    assert found.pair == (NAMES[pairs[0][at]], NAMES[pairs[1][at]])
    assert change(before, before) == type(found)(0.0, 0.0, ("a", "b"))
    alone = ledoit_wolf(_returns(10), NAMES)
    assert change(alone, now) is None
    with pytest.raises(ValueError, match="different names"):
        change(before, ledoit_wolf(_returns(300), ("a", "b", "c", "e")))


@pytest.mark.parametrize(("rho", "want"), [(0.0, 0.25), (0.6, 0.7), (1.0, 1.0)])
def test_the_share_of_one_factor_by_hand(rho: float, want: float) -> None:
    """Equal correlations of k names: the first eigenvalue is 1 + (k - 1) rho."""
    assert first_eigenvalue_share(np.full((4, 4), rho) + (1 - rho) * np.eye(4)) == pytest.approx(want)


def test_the_interval_is_that_of_theory_where_days_are_independent() -> None:
    """Fisher: atanh r has the standard error 1 / sqrt(n - 3)."""
    ret = _returns(400, 7, k=2)
    low, high = interval(ret, np.ones(400), np.random.default_rng(0), draws=600)
    r = np.arctanh(raw_correlation(ret, np.ones(400))[0, 1])
    want = np.tanh([r - 1.645 / np.sqrt(397), r + 1.645 / np.sqrt(397)])
    assert (low[0, 1], high[0, 1]) == pytest.approx(tuple(want), abs=0.02)
    again = interval(ret, np.ones(400), np.random.default_rng(0), draws=600)
    assert low.tobytes() == again[0].tobytes()


def test_the_interval_widens_with_fading_weights_and_skips_missing_pairs() -> None:
    ret = _returns(150, 8, k=3)
    ret[40:, 2] = np.nan
    low, high = interval(ret, np.ones(150), np.random.default_rng(1), draws=100)
    fading = interval(ret, exponential_weights(150), np.random.default_rng(1), draws=100)
    assert fading[1][0, 1] - fading[0][0, 1] > 1.2 * (high[0, 1] - low[0, 1])
    assert np.isnan(low[0, 2])
    assert np.isnan(high[2, 1])


def test_the_interval_is_the_bootstrap_of_arch() -> None:
    ret = _returns(200, 9, k=3)
    ret[:50, 2] = np.nan
    weights = exponential_weights(200)
    low, high = interval(ret, weights, np.random.default_rng(2), draws=2000)
    drawn = [
        raw_correlation(np.asarray(sample[0]), weights)[0, 2]
        for sample, _ in StationaryBootstrap(MEAN_BLOCK_DAYS, ret, seed=3).bootstrap(2000)
    ]
    assert (low[0, 2], high[2, 0]) == pytest.approx(tuple(np.nanquantile(drawn, [0.05, 0.95])), abs=0.02)
