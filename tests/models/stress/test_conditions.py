"""Conditions: ranges that are refused, what two of them make together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.stress.conditions import Conditions, compose, neutral

_SHAPE = (2, 3)


def _with(**fields: Any) -> Conditions:
    return replace(neutral(2, 3, 2), **{name: np.asarray(value) for name, value in fields.items()})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"log_return": np.zeros((2, 3))}, r"log_return must be \(paths, steps, assets\)"),
        ({"funding": np.zeros((3, 2))}, r"funding must be \(paths, steps\) = \(2, 3\) .* got \(3, 2\)"),
        ({"halted": np.zeros(_SHAPE)}, "halted must be boolean"),
        ({"score_stale": np.zeros(_SHAPE, dtype=np.int64)}, "score_stale must be boolean"),
        ({"log_return": np.full((2, 3, 2), np.nan)}, "log_return must be finite"),
        ({"funding": np.full(_SHAPE, np.inf)}, "funding must be finite"),
        ({"sigma_multiplier": np.full(_SHAPE, 0.999)}, "sigma_multiplier must be finite and at least 1"),
        ({"half_spread_multiplier": np.full(_SHAPE, np.nan)}, "half_spread_multiplier must be finite"),
        ({"depth_share": np.zeros(_SHAPE)}, "depth_share must be above 0"),
        ({"depth_share": np.full(_SHAPE, 1.001)}, "depth_share must be above 0 and at most 1"),
    ],
)
def test_what_is_no_condition_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _with(**fields)


@pytest.mark.parametrize("shape", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_no_conditions_of_nothing(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="need a path, a step and an asset"):
        neutral(*shape)


def test_neutral_conditions_leave_returns_as_they_are() -> None:
    drawn = np.arange(12.0).reshape(2, 3, 2)
    conditions = neutral(2, 3, 2)
    assert (conditions.paths, conditions.steps, conditions.assets) == (2, 3, 2)
    np.testing.assert_array_equal(conditions.returns(drawn), drawn)


def test_the_multiplier_acts_on_drawn_returns_and_not_on_shocks() -> None:
    conditions = _with(log_return=np.full((2, 3, 2), -0.5), sigma_multiplier=np.full(_SHAPE, 3.0))
    np.testing.assert_allclose(conditions.returns(np.full((2, 3, 2), 0.01)), 0.03 - 0.5)
    with pytest.raises(ValueError, match=r"drawn returns must have the shape \(2, 3, 2\)"):
        conditions.returns(np.zeros((2, 3)))


def test_two_conditions_together() -> None:
    halted = np.array([[True, False, False], [False, False, False]])
    one = _with(
        log_return=np.full((2, 3, 2), -0.1), sigma_multiplier=np.full(_SHAPE, 3.0), depth_share=np.full(_SHAPE, 0.5),
        halted=halted, funding=np.full(_SHAPE, 0.001),
    )  # fmt: skip
    other = _with(
        log_return=np.full((2, 3, 2), 0.3), sigma_multiplier=np.full(_SHAPE, 2.0),
        half_spread_multiplier=np.full(_SHAPE, 7.0), depth_share=np.full(_SHAPE, 0.25), halted=halted[::-1],
        score_stale=halted, funding=np.full(_SHAPE, -0.004),
    )  # fmt: skip
    for both in (compose(one, other), compose(other, one)):
        np.testing.assert_allclose(both.log_return, 0.2)
        np.testing.assert_array_equal(both.sigma_multiplier, 3.0)
        np.testing.assert_array_equal(both.half_spread_multiplier, 7.0)
        np.testing.assert_array_equal(both.depth_share, 0.25)
        np.testing.assert_array_equal(both.halted, halted | halted[::-1])
        np.testing.assert_array_equal(both.score_stale, halted)
        np.testing.assert_allclose(both.funding, -0.003)


def test_neutral_conditions_add_nothing_and_shapes_must_fit() -> None:
    one = _with(sigma_multiplier=np.full(_SHAPE, 3.0), log_return=np.full((2, 3, 2), -0.1))
    both = compose(one, neutral(2, 3, 2))
    for name in Conditions.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(both, name), getattr(one, name))
    with pytest.raises(ValueError, match=r"got \(2, 3, 2\) and \(2, 4, 2\)"):
        compose(one, neutral(2, 4, 2))
