"""Records that say what they were made of: written and read back, they are the same."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.exact import read_back, written
from models.contracts.vault import PolicyState, Target


@given(
    st.dictionaries(st.text(max_size=5), st.decimals(allow_nan=False), max_size=3),
    st.none() | st.floats(allow_nan=False),
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(PolicyState),
)
def test_written_and_read_back(
    weights: dict[str, Decimal], score: float | None, as_of: datetime, state: PolicyState
) -> None:
    target = Target("v", as_of, state, weights, ("a", "b"), score, "p", sigma_ann=score)
    stored = json.loads(json.dumps(written(target), allow_nan=False))
    assert read_back(Target, stored) == target


@dataclass(frozen=True)
class Grown:
    known: frozenset[str]
    count: int
    later: float = 2.5


def test_fields_that_came_later_take_their_default_and_others_are_passed_over() -> None:
    assert read_back(Grown, {"known": ["b", "a"], "count": 3, "gone": 1}) == Grown(frozenset({"a", "b"}), 3)
    assert math.isnan(read_back(Grown, {"known": [], "count": 3, "later": "nan"}).later)
    with pytest.raises(KeyError, match="count"):
        read_back(Grown, {"known": []})
    with pytest.raises(TypeError, match="no int"):
        read_back(Grown, {"known": [], "count": "3"})
