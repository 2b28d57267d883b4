"""Figures of many paths: closed forms, intervals that hold the truth as often as they say, and what is not said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from models.backtest.plain import as_plain
from models.stress.course_figures import DRAWDOWN, FIGURES, LIQUIDATION, LOWEST, RETURN
from models.stress.figures import Estimate, differences, estimates, expected_shortfall, value_at_risk, wilson


def a_table(returns: np.ndarray) -> np.ndarray:
    table = np.zeros((len(returns), FIGURES))
    table[:, RETURN], table[:, LOWEST] = returns, 1.0 + np.minimum(returns, 0.0)
    table[:, DRAWDOWN] = np.maximum(-returns, 0.0)
    table[:, LIQUIDATION] = returns < -0.25
    return table


@pytest.mark.parametrize(
    ("n", "percent", "var", "es"), [(100, 1, 100, 100), (100, 5, 96, 98), (250, 1, 248, 249), (20, 5, 20, 20)]
)
def test_tails_by_hand(n: int, percent: int, var: float, es: float) -> None:
    returns = -np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert value_at_risk(returns, percent) == var
    assert expected_shortfall(returns, percent) == es


def test_tails_of_a_normal_law() -> None:
    returns = 0.01 + 0.1 * np.random.default_rng(1).standard_normal(200_000)
    found = estimates(a_table(returns), 0.25)
    for percent in (95, 99):
        z = norm.ppf(percent / 100)
        truth = {f"var_{percent}": 0.1 * z - 0.01, f"es_{percent}": 0.1 * norm.pdf(z) / (1 - percent / 100) - 0.01}
        for name, value in truth.items():
            one = found[name]
            assert one.value is not None
            assert one.standard_error is not None
            assert abs(one.value - value) < 4 * one.standard_error
            assert one.standard_error < 0.002
    assert found["ruin_probability"].value == pytest.approx(norm.cdf(-2.6), abs=0.0008)
    assert found["loss_probability"].value == pytest.approx(norm.cdf(-0.1), abs=0.005)


@pytest.mark.parametrize(("hits", "trials"), [(0, 50), (1, 50), (25, 50), (49, 50), (50, 50), (3, 10_000)])
def test_wilson_as_statsmodels_has_it(hits: int, trials: int) -> None:
    assert wilson(hits, trials) == pytest.approx(proportion_confint(hits, trials, method="wilson"), abs=1e-12)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """300 runs of 4,000 paths: 95 % intervals of 20 batches, within four standard errors of a share of 300."""
    rng, z = np.random.default_rng(2), norm.ppf(0.95)
    truth = {
        "mean_return": 0.0,
        "median_return": 0.0,
        "var_95": 0.1 * z,
        "es_95": 0.1 * norm.pdf(z) / 0.05,
        "ruin_probability": norm.cdf(-1.5),
    }
    held = dict.fromkeys(truth, 0)
    runs = 300
    for _ in range(runs):
        found = estimates(a_table(0.1 * rng.standard_normal(4000)), 0.15)
        for name, value in truth.items():
            one = found[name]
            assert one.low is not None
            assert one.high is not None
            held[name] += one.low <= value <= one.high
    for name, count in held.items():
        assert abs(count / runs - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs), name


def test_common_random_numbers_make_a_small_difference_sure() -> None:
    returns = 0.1 * np.random.default_rng(3).standard_normal(4000)
    apart = differences(a_table(returns - 0.001), a_table(returns), 0.5)
    alone = estimates(a_table(returns), 0.5)
    for name in ("mean_return", "var_99", "es_95"):
        one, other = apart[name], alone[name]
        assert one.value == pytest.approx(-0.001 if name == "mean_return" else 0.001)
        assert one.standard_error == pytest.approx(0.0, abs=1e-12)
        assert other.standard_error is not None
        assert other.standard_error > 0.001


def test_what_cannot_be_said_is_none_and_says_why() -> None:
    found = estimates(a_table(np.linspace(-0.1, 0.1, 50)), 0.5)
    assert found["es_99"] == Estimate(None, None, None, None, "needs 100 paths, there are 50")
    assert found["var_95"].value is not None
    assert found["var_95"].reason == "its error needs 400 paths, there are 50"
    assert found["mean_return"].reason is None
    zero = found["ruin_probability"]
    assert zero.value == 0.0
    assert zero.high is not None
    assert zero.high > 0.05
    assert zero.standard_error is not None
    assert zero.standard_error > 0.0
    json.dumps(as_plain(found), allow_nan=False)


@pytest.mark.parametrize("hits", [(0, 0), (3, 3), (7, 0), (0, 5), (400, 380)])
def test_a_difference_of_probabilities_always_has_an_error(hits: tuple[int, int]) -> None:
    """The same paths are hit in both as far as they go; what is left is hit in one alone."""
    tables = [a_table(np.where(np.arange(2000) < n, -0.9, 0.0)) for n in hits]
    found = differences(tables[0], tables[1], 0.5)["ruin_probability"]
    assert found.value == pytest.approx((hits[0] - hits[1]) / 2000)
    assert found.standard_error is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    if hits == (0, 0):  # Wilson's bound of nothing in n is z^2 / (n + z^2), on both sides
        assert found.high == -found.low == pytest.approx(1.959964**2 / (2000 + 1.959964**2))
    if hits[1] == 0 < hits[0]:  # nothing is lost: the upper end of the gains moves by the bound of nothing
        assert found.low > 0.0


@pytest.mark.parametrize(("p", "other"), [(0.001, 0.0), (0.02, 0.01), (0.3, 0.3)])
def test_a_difference_of_probabilities_is_covered(p: float, other: float) -> None:
    """Half of the paths that are hit in both are the same ones."""
    rng, held, runs = np.random.default_rng(9), 0, 400
    for _ in range(runs):
        shared, one, two = rng.random((3, 2000))
        both = min(p, other) / 2
        tables = [
            a_table(np.where((shared < both) | (own < (q - both) / (1 - both)), -0.9, 0.0))
            for own, q in ((one, p), (two, other))
        ]
        found = differences(tables[0], tables[1], 0.5)["ruin_probability"]
        assert found.low is not None
        assert found.high is not None
        held += found.low <= p - other <= found.high
    assert held / runs >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)


def test_differences_are_of_the_same_paths() -> None:
    with pytest.raises(ValueError, match="same paths"):
        differences(np.zeros((3, FIGURES)), np.zeros((4, FIGURES)), 0.5)
