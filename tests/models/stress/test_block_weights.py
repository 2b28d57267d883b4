"""Weights of block starts by hand, and what must hold of them at every moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.stress.block_weights import MOST_MOMENTS, RegimeHistory, moments_every, start_weights

MOVE = np.array([[0.9, 0.1], [0.3, 0.7]])


def alternating(n: int, now: list[float]) -> RegimeHistory:
    """Every fourth row is of the second state, without a doubt."""
    second = (np.arange(n) % 4 == 3).astype(float)
    return RegimeHistory(np.column_stack([1.0 - second, second]), np.array(now), MOVE)


def test_weights_by_hand() -> None:
    weights = start_weights(alternating(2000, [0.0, 1.0]), steps=2)
    # The next step is of the second state with 0.7, the one after with 0.3 x 0.1 + 0.7 x 0.7 = 0.52.
    np.testing.assert_allclose(weights[:, 3::4].sum(axis=1), [0.7, 0.52])
    np.testing.assert_allclose(weights[0, :4], [0.3 / 1500] * 3 + [0.7 / 500])


def test_weights_end_at_the_long_run_mix() -> None:
    weights = start_weights(alternating(2000, [0.0, 1.0]), steps=200)
    np.testing.assert_allclose(weights[-1], 1 / 2000, rtol=1e-9)  # 0.1 / (0.1 + 0.3) = a quarter of the rows


def test_square_roots_count_the_present_half() -> None:
    whole, half = (start_weights(alternating(2000, [0.0, 1.0]), 1, power)[0] for power in (1.0, 0.5))
    np.testing.assert_allclose(half, np.sqrt(whole) / np.sqrt(whole).sum())


def test_a_rare_state_is_mixed_with_the_others_until_it_speaks_for_200_rows() -> None:
    n = 1000
    rare = (np.arange(n) < 20).astype(float)
    history = RegimeHistory(np.column_stack([1.0 - rare, rare]), np.array([0.0, 1.0]), np.eye(2))
    weights = start_weights(history, steps=1)[0]
    assert 1.0 / (weights**2).sum() == pytest.approx(200.0)
    assert weights[0] > 10 * weights[-1]


@pytest.mark.parametrize(("steps", "every", "moments"), [(1, 1, 1), (64, 1, 64), (65, 2, 33), (720, 12, 60)])
def test_weights_are_worked_out_at_64_moments_at_most(steps: int, every: int, moments: int) -> None:
    assert moments_every(steps) == every
    weights = start_weights(alternating(400, [0.0, 1.0]), steps)
    assert len(weights) == moments <= MOST_MOMENTS
    each = start_weights(alternating(400, [0.0, 1.0]), 64)
    np.testing.assert_allclose(weights[: 63 // every + 1], each[::every][:moments], rtol=1e-9)


@given(
    seed=st.integers(0, 10_000), n=st.integers(200, 600), states=st.integers(1, 4), power=st.sampled_from([0.5, 1.0])
)
@settings(max_examples=40, deadline=None)
def test_weights_are_probabilities_of_200_rows_or_more(seed: int, n: int, states: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    history = RegimeHistory(
        rng.dirichlet(np.full(states, 0.05), size=n),
        rng.dirichlet(np.ones(states)),
        rng.dirichlet(np.ones(states), states),
    )
    weights = start_weights(history, 10, power)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    assert (1.0 / (weights**2).sum(axis=1) > 200.0 - 1e-6).all()


def test_a_state_that_the_past_never_knew_starts_anywhere() -> None:
    history = RegimeHistory(np.tile([1.0, 0.0], (300, 1)), np.array([0.0, 1.0]), np.eye(2))
    np.testing.assert_allclose(start_weights(history, 1)[0], 1 / 300)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (RegimeHistory(np.full((300, 2), np.nan), np.array([0.5, 0.5]), MOVE), "missing or negative"),
        (RegimeHistory(np.full((300, 2), 0.5), np.array([1.5, -0.5]), MOVE), "missing or negative"),
        (RegimeHistory(np.full((300, 3), 0.5), np.array([0.5, 0.5]), MOVE), "3 states"),
    ],
)
def test_what_is_no_probability_is_refused(history: RegimeHistory, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        start_weights(history, 5)
