"""Figures of a course: by hand, and on the last axis."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.backtest.metrics import STATISTICS, figures, longest_spell

# Equity 1.1, 0.55, 0.825, 1.2375, 0.99
RETURNS = np.array([0.1, -0.5, 0.5, 0.5, -0.2])
MEAN = 0.08
DEVIATION = math.sqrt((0.02**2 + 0.58**2 + 0.42**2 + 0.42**2 + 0.28**2) / 4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cagr", 0.99**73 - 1),  # five days are 1/73 of a year
        ("volatility", DEVIATION * math.sqrt(365)),
        ("sharpe", MEAN / DEVIATION * math.sqrt(365)),
        ("sortino", MEAN / math.sqrt((0.25 + 0.04) / 5) * math.sqrt(365)),
        ("max_drawdown", 0.5),
        ("time_under_water", 3 / 5),
        ("calmar", (0.99**73 - 1) / 0.5),
        ("var99", 0.5 - 0.04 * 0.3),  # 4 % of the way from the worst to the second worst
        ("es99", 0.5),
    ],
)
def test_by_hand(name: str, expected: float) -> None:
    assert STATISTICS[name](RETURNS) == pytest.approx(expected)
    assert getattr(figures(RETURNS), name) == pytest.approx(expected)
    both = STATISTICS[name](np.stack([RETURNS, -RETURNS]))
    assert both.shape == (2,)
    assert both[0] == pytest.approx(expected)


def test_the_tail_is_the_mean_of_the_worst_hundredth_rounded_up() -> None:
    returns = np.zeros(250)
    returns[[10, 100, 200, 249]] = -0.4, -0.2, -0.3, -0.1
    assert STATISTICS["es99"](returns) == pytest.approx(0.3)  # of three


@pytest.mark.parametrize(
    ("returns", "spell", "has_recovered"),
    [
        ([0.1, 0.1], 0, True),
        ([0.0, 0.0], 0, True),
        ([-0.1, 0.05, 0.2, -0.1], 2, True),
        ([-0.1, 0.2, -0.1, 0.01, 0.01], 3, False),
    ],
)
def test_spells_under_water(returns: list[float], spell: int, has_recovered: bool) -> None:
    assert longest_spell(np.array(returns)) == (spell, has_recovered)


def test_what_cannot_be_said_is_not_a_number() -> None:
    still = figures(np.zeros(10))
    assert math.isnan(still.sharpe)
    assert math.isnan(still.sortino)
    assert math.isnan(still.calmar)
    assert (still.cagr, still.volatility, still.max_drawdown) == (0, 0, 0)
    assert figures(np.array([-1.0, 0.5])).cagr == -1


@pytest.mark.parametrize("returns", [[0.1], [0.1, float("nan")], [0.1, float("inf")]])
def test_missing_returns_are_refused(returns: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        figures(np.array(returns))
