"""Block lengths against the `arch` package, and what must hold of any sample."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length as of_arch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.stress.block_length import SHORTEST, block_length, optimal_block_length


def autoregression(phi: float, n: int, seed: int) -> NDArray[np.float64]:
    shocks, values = np.random.default_rng(seed).standard_normal(n), np.zeros(n)
    for t in range(1, n):
        values[t] = phi * values[t - 1] + shocks[t]
    return values


def clustered(n: int, seed: int) -> NDArray[np.float64]:
    """Returns whose log volatility is an autoregression with half-life of about a month."""
    return 0.02 * np.exp(0.12 * autoregression(0.98, n, seed)) * np.random.default_rng(seed + 1).standard_normal(n)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [60, 400, 2000])
@pytest.mark.parametrize("phi", [0.0, 0.3, 0.9, -0.5])
def test_lengths_are_those_of_the_library(phi: float, n: int, seed: int) -> None:
    values = autoregression(phi, n, seed)
    want = of_arch(values).iloc[0]
    found = optimal_block_length(values)
    assert found.stationary == pytest.approx(want["stationary"], rel=1e-9)
    assert found.circular == pytest.approx(want["circular"], rel=1e-9)


def test_a_length_by_hand() -> None:
    """Twelve signs of mean 0 with R(0) = 1 and R(1) = 3 / 12; no lag differs from 0, so m = 2 and the window is 1 at
    lag 1 and 0 at lag 2: G = 2 x 1/4 = 1/2, g = 1 + 2 x 1/4 = 3/2."""
    values = np.array([1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0])
    found = optimal_block_length(values)
    assert found.stationary == pytest.approx((2 * 0.25 / (2 * 2.25) * 12) ** (1 / 3))
    assert found.circular == pytest.approx((2 * 0.25 / (4 / 3 * 2.25) * 12) ** (1 / 3))


def test_volatility_that_clusters_needs_blocks_of_weeks_and_returns_do_not_show_it() -> None:
    returns = clustered(2000, 3)
    assert optimal_block_length(returns).stationary < 10
    assert block_length(returns).stationary > 25


def test_assets_share_the_median_length() -> None:
    columns = [clustered(1500, seed) for seed in (1, 5, 9)]
    alone = sorted(block_length(column).stationary for column in columns)
    assert block_length(np.column_stack(columns)).stationary == pytest.approx(alone[1])


@given(st.integers(0, 10_000), st.integers(40, 600), st.floats(-0.9, 0.98))
def test_lengths_stay_within_their_bounds(seed: int, n: int, phi: float) -> None:
    found = block_length(autoregression(phi, n, seed))
    for length in (found.stationary, found.circular):
        assert SHORTEST <= length <= max(SHORTEST, n / 8)
    assert found.circular >= found.stationary


@given(st.integers(0, 10_000), st.floats(0.001, 1000.0))
def test_units_do_not_matter(seed: int, scale: float) -> None:
    values = autoregression(0.5, 300, seed)
    assert optimal_block_length(scale * values).stationary == pytest.approx(optimal_block_length(values).stationary)


def test_what_never_moves_gets_the_shortest_blocks() -> None:
    assert block_length(np.zeros(300)).stationary == SHORTEST


@pytest.mark.parametrize("values", [np.ones(9), np.array([1.0] * 20 + [np.nan])])
def test_too_little_or_missing_is_refused(values: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="10 values"):
        optimal_block_length(values)
