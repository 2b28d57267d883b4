"""Figures of one course: by hand, against plain Python, and the bridge against a law that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from models.risk.drawdown import drawdown
from models.stress.course_figures import (
    DRAWDOWN,
    EXPOSURE,
    FIGURES,
    LOWEST,
    RETURN,
    SPELL,
    UNDER_WATER,
    liquidation,
    measure_course,
)
from tests.models.stress import slow_paths


def measured(equity: list[float]) -> np.ndarray:
    out = np.full(FIGURES, np.nan)
    measure_course(100.0 * np.array(equity), np.linspace(0.0, 1.0, len(equity)), 100.0, out)
    return out


@pytest.mark.parametrize(
    ("equity", "end", "fall", "lowest", "wet", "spell"),
    [
        ([1, 1.1, 1.2], 0.2, 0.0, 1.1, 0.0, 0),
        ([1, 0.9, 0.9, 0.9], -0.1, 0.1, 0.9, 1.0, 3),
        ([1, 2, 1, 2, 0.5], -0.5, 0.75, 0.5, 0.5, 1),
        ([1, 1.5, 1.2, 0.9, 2.7], 1.7, 0.4, 0.9, 0.5, 2),
        ([1, 1, 1], 0.0, 0.0, 1.0, 0.0, 0),
    ],
)
def test_by_hand(equity: list[float], end: float, fall: float, lowest: float, wet: float, spell: int) -> None:
    found = measured(equity)
    assert found[[RETURN, DRAWDOWN, LOWEST, UNDER_WATER]] == pytest.approx([end, fall, lowest, wet])
    assert found[SPELL] == spell
    assert found[EXPOSURE] == pytest.approx(0.5)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=30))
def test_as_the_drawdown_of_the_risk_reports(later: list[float]) -> None:
    equity = [1.0, *later]
    found, expected = measured(equity), drawdown(np.array(equity))
    assert found[DRAWDOWN] == pytest.approx(expected.deepest, abs=1e-12)
    assert found[UNDER_WATER] == expected.under_water
    assert found[SPELL] == expected.longest_spell


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=20),
    st.floats(1.05, 4.0),
    st.floats(0.0, 0.2),
    st.floats(-0.01, 0.01),
)
def test_the_bridge_is_plain_python(moves: list[float], multiple: float, maintenance: float, paid: float) -> None:
    equity = np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
    funding = np.full(len(moves), paid)
    slow = slow_paths.liquidation(equity.tolist(), funding.tolist(), multiple, maintenance)
    assert liquidation(1e6 * equity, funding, 1e6, multiple, maintenance) == pytest.approx(slow, abs=1e-9)


def test_nobody_is_liquidated_who_borrows_nothing() -> None:
    assert liquidation(np.array([1.0, 1e-9]), np.zeros(1), 1.0, 0.0, 0.0) == 0.0


def test_funding_alone_can_liquidate() -> None:
    still = np.ones(11)
    assert liquidation(still, np.full(10, 0.049), 1.0, 2.0, 0.0) == 0.0  # 0.98 of 1 is paid
    assert liquidation(still, np.full(10, 0.051), 1.0, 2.0, 0.0) == 1.0


@pytest.mark.parametrize("fallen_to", [0.75, 0.60])
def test_a_path_that_only_gaps_is_liquidated_by_its_closes_alone(fallen_to: float) -> None:
    gap = np.ones(51)
    gap[20:] = fallen_to
    assert liquidation(gap, np.zeros(50), 1.0, 2.0, 0.1) == 0.0  # the barrier is at 0.556
    assert liquidation(gap, np.zeros(50), 1.0, 3.0, 0.1) == (1.0 if fallen_to < 0.74 else 0.0)  # at 0.741


def test_a_gap_adds_what_the_closes_after_it_say() -> None:
    """Bridges of the known deviation of the diffusion, the gap at the end of its step, are the truth."""
    sigma, steps, gap_at, gap = 0.003, 240, 120, -0.2
    rng = np.random.default_rng(5)
    barrier = math.log(2 / (3 * 0.9))
    errors, gapless = [], []
    for _ in range(300):
        moves = rng.normal(0, sigma, steps)
        before_gap = moves.copy()
        moves[gap_at] += gap
        level = np.concatenate([[0.0], np.cumsum(moves)])
        above, after = level[:-1] - barrier, level[:-1] + before_gap - barrier
        alive = np.prod(-np.expm1(-2 * above * after / sigma**2)) if (level > barrier).all() else 0.0
        errors.append(liquidation(np.exp(level), np.zeros(steps), 1.0, 3.0, 0.1) - (1 - alive))
        gapless.append(1 - alive)
    assert abs(np.mean(errors)) < 0.01 < np.mean(gapless)


def test_hourly_closes_tell_how_often_a_continuous_path_is_liquidated() -> None:
    """Reflection: P(min of a Brownian motion <= -d) = 2 N(-d / (sigma sqrt T)); closes alone see too little of it."""
    paths, steps, sigma = 12_000, 50, 0.02
    rng = np.random.default_rng(8)
    level = np.concatenate([np.zeros((paths, 1)), np.cumsum(rng.normal(0, sigma, (paths, steps)), axis=1)], axis=1)
    multiple, maintenance = 4.0, 0.1
    barrier = math.log((multiple - 1) / (multiple * (1 - maintenance)))
    truth = 2 * ndtr(barrier / (sigma * math.sqrt(steps)))
    none = np.zeros(steps)
    found = np.array([liquidation(np.exp(row), none, 1.0, multiple, maintenance) for row in level])
    at_closes = (level.min(axis=1) <= barrier).mean()
    error = found.std() / math.sqrt(paths)
    assert abs(found.mean() - truth) < 4 * error
    assert truth - at_closes > 4 * error
