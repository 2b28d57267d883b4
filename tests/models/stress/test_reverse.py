"""Reverse stress: thresholds that are known, answers that there are none, and shocks of every size."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.stress.conditions import Conditions, neutral
from models.stress.reverse import reverse_stress, scaled_by, smallest_breaking
from tests.models.stress.vaults import a_coin, random_conditions


@given(st.floats(0.001, 0.999), st.floats(1e-6, 0.1))
def test_the_threshold_of_a_line(threshold: float, tolerance: float) -> None:
    found = smallest_breaking(lambda x: x, threshold, 0.0, 1.0, tolerance)
    assert found.size is not None
    assert found.holds_at is not None
    assert found.holds_at <= threshold < found.size
    assert found.size - found.holds_at <= tolerance
    assert found.is_monotone
    assert len(found.tried) <= 3 + math.ceil(math.log2(1.0 / tolerance))


def test_not_within_bounds() -> None:
    found = smallest_breaking(lambda x: x, 2.0, 0.0, 1.0, 0.01)
    assert (found.size, found.holds_at, found.figure) == (None, 1.0, 1.0)
    assert found.reason == "not within bounds: it holds up to 1.0"
    assert len(found.tried) == 2
    json.dumps(found.to_dict(), allow_nan=False)


def test_broken_from_the_start() -> None:
    found = smallest_breaking(lambda x: x + 5.0, 2.0, 0.0, 1.0, 0.01)
    assert (found.size, found.holds_at, len(found.tried)) == (0.0, None, 1)


def test_a_figure_that_falls_again_is_said_so() -> None:
    assert not smallest_breaking(lambda x: math.sin(9.0 * x) + x, 0.5, 0.0, 1.0, 0.001).is_monotone


@pytest.mark.parametrize("bounds", [(1.0, 0.0, 0.1), (0.0, 1.0, 0.0), (0.0, math.inf, 0.1), (math.nan, 1.0, 0.1)])
def test_bounds_that_are_none(bounds: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="nothing to search in"):
        smallest_breaking(lambda x: x, 0.5, *bounds)


def a_gap(first: int, paths: int) -> Conditions:
    """The coin loses exp(-1) of its worth at the tenth step."""
    one = neutral(paths, 20, 2)
    one.log_return[:, 9, 1] = -1.0
    return one


@pytest.mark.parametrize(("name", "limit"), [("max_drawdown_50", 0.3), ("es_95", 0.3), ("ruin_probability", 0.5)])
def test_the_gap_that_costs_a_given_share(name: str, limit: float) -> None:
    """A vault that is one coin at prices that stand still: a loss of 30 % is a gap of -ln 0.7, ruin (50 %) of ln 2."""
    found = reverse_stress(
        a_coin(np.zeros((40, 20))), 40, 0, scaled_by(a_gap), name, limit, highest=2.0, tolerance=1e-3, strategy="hold"
    )
    truth = math.log(2.0) if name == "ruin_probability" else -math.log(0.7)
    assert found.size is not None
    assert found.holds_at is not None
    assert found.holds_at - 1e-9 <= truth <= found.size + 1e-9
    assert found.is_monotone


def test_what_cannot_be_searched_for() -> None:
    setup = a_coin(np.zeros((5, 20)))
    with pytest.raises(ValueError, match="strategy"):
        reverse_stress(setup, 5, 0, scaled_by(a_gap), "es_95", 0.1, strategy="keeper")
    with pytest.raises(ValueError, match="figure es_42"):
        reverse_stress(setup, 5, 0, scaled_by(a_gap), "es_42", 0.1)
    with pytest.raises(ValueError, match="needs 20 paths"):
        reverse_stress(setup, 5, 0, scaled_by(a_gap), "es_95", 0.1)


def test_sizes_of_a_shock() -> None:
    whole = random_conditions(3, 30)
    same, none, twice = (scaled_by(lambda *_: whole)(size)(0, 3) for size in (1.0, 0.0, 2.0))
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(same, name), value, rtol=1e-12)
        assert (getattr(none, name) == getattr(neutral(3, 30, 4), name)).all()
    np.testing.assert_allclose(twice.log_return, 2 * whole.log_return)
    np.testing.assert_allclose(twice.sigma_multiplier - 1, 2 * (whole.sigma_multiplier - 1))
    np.testing.assert_allclose(twice.depth_share, whole.depth_share**2)
    with pytest.raises(ValueError, match="0 or more"):
        scaled_by(lambda *_: whole)(-0.1)(0, 3)
    assert (replace(whole, halted=whole.halted).halted == twice.halted).all()
