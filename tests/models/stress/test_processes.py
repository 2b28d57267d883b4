from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.stress.processes import (
    autoregress,
    bridge_extremes,
    heavy_tailed,
    markov_states,
    persistence,
    stationary_shock,
    surprise,
)
from models.stress.streams import stream


def test_autoregression_equals_the_slow_loop() -> None:
    shocks = np.array([1.0, 0.0, -2.0, 0.5])
    phi, y, slow = 0.5 ** (1 / 3), 0.7, []
    for shock in shocks:
        y = phi * y + shock
        slow.append(y)
    assert np.allclose(autoregress(shocks, 3.0, 0.7), slow, rtol=0, atol=1e-15)


@given(st.integers(1, 49))
def test_autoregression_joins_without_seam(cut: int) -> None:
    shocks = stream(1, "test", 0).standard_normal(50)
    whole = autoregress(shocks, 5.0, 0.3)
    first = autoregress(shocks[:cut], 5.0, 0.3)
    assert np.array_equal(whole, np.concatenate([first, autoregress(shocks[cut:], 5.0, float(first[-1]))]))


def test_a_shock_halves_in_its_half_life() -> None:
    assert persistence(10.0) ** 10 == pytest.approx(0.5)
    path = autoregress(np.array([1.0, *[0.0] * 10]), 10.0, 0.0)
    assert path[10] == pytest.approx(0.5)


def test_stationary_shock_gives_the_wanted_deviation() -> None:
    shocks = stationary_shock(4.0, 0.3) * stream(3, "test", 0).standard_normal(200_000)
    assert autoregress(shocks, 4.0, 0.0).std() == pytest.approx(0.3, rel=0.02)


def test_heavy_tails_have_unit_variance_and_a_bound() -> None:
    draws = heavy_tailed(stream(3, "test", 1), 400_000, 5.0)
    assert draws.std() == pytest.approx(1.0, rel=0.02)
    assert np.abs(draws).max() <= 10.0
    assert (draws**4).mean() > 4.5, "a normal has 3"


def test_surprise_is_zero_on_average() -> None:
    assert surprise(stream(3, "test", 2).standard_normal(400_000)).mean() == pytest.approx(0.0, abs=0.005)


def test_markov_states_follow_the_ladder() -> None:
    transitions = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.5, 0.5]])
    uniforms = np.array([0.5, 0.95, 0.95, 0.1, 0.85, 0.0])
    assert markov_states(uniforms, transitions, 0).tolist() == [0, 1, 2, 1, 1, 0]


@given(st.floats(-0.1, 0.1), st.floats(0, 0.1), st.floats(1e-9, 1), st.floats(1e-9, 1))
def test_extremes_contain_both_ends(move: float, sigma: float, u_high: float, u_low: float) -> None:
    high, low = bridge_extremes(*(np.array([x]) for x in (move, sigma, u_high, u_low)))
    assert high[0] >= max(0.0, move) - 1e-12
    assert low[0] <= min(0.0, move) + 1e-12


def test_range_of_a_bridge_measures_its_variance() -> None:
    rng = stream(3, "test", 3)
    n, sigma = 200_000, 0.02
    high, low = bridge_extremes(sigma * rng.standard_normal(n), np.full(n, sigma), *(1 - rng.random((2, n))))
    parkinson = (high - low) ** 2 / (4 * np.log(2))
    assert np.sqrt(parkinson.mean()) == pytest.approx(sigma, rel=0.06), "independent extremes widen it a little"


@pytest.mark.parametrize("other", [(8, "a", 0), (7, "b", 0), (7, "a", 1)])
def test_streams_differ_by_seed_name_and_block(other: tuple[int, str, int]) -> None:
    assert stream(7, "a", 0).random() == stream(7, "a", 0).random()
    assert stream(7, "a", 0).random() != stream(*other).random()


def test_there_is_nothing_before_the_first_block() -> None:
    with pytest.raises(ValueError, match="before the beginning"):
        stream(7, "a", -1)
