"""Buckets: figures by hand, what holds whatever is asked, and bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.access.buckets import UNBOUNDED, Allowance, Buckets
from serving.access.recent import Recent


def test_by_hand() -> None:
    buckets = Buckets()
    asked = [(0.0, "a"), (0.0, "a"), (0.0, "a"), (29.0, "a"), (30.0, "a"), (30.0, "b"), (200.0, "a")]
    assert [buckets.take(who, 2, at) for at, who in asked] == [
        Allowance(True, 2, 1, 30),
        Allowance(True, 2, 0, 60),
        Allowance(False, 2, 0, 30),  # one fits in after half a minute
        Allowance(False, 2, 0, 1),
        Allowance(True, 2, 0, 60),
        Allowance(True, 2, 1, 30),  # another has a bucket of its own
        Allowance(True, 2, 1, 30),  # full again, and not more than full
    ]


def test_no_bound_is_no_bucket() -> None:
    buckets = Buckets()
    assert buckets.take("a", UNBOUNDED, 0) is None
    assert len(buckets) == 0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 20))
def test_never_more_than_a_bucket_and_what_flowed_in(pauses: list[float], per_minute: int) -> None:
    buckets, now, granted = Buckets(), 0.0, 0
    for pause in pauses:
        now += pause
        found = buckets.take("a", per_minute, now)
        assert found is not None
        granted += found.granted
        assert granted <= per_minute + now * per_minute / 60 + 1e-6
        assert 0 <= found.remaining < per_minute
        assert 0 < found.reset_s <= 60


@given(st.integers(1, 50))
def test_who_waits_as_long_as_was_said_is_let_in(per_minute: int) -> None:
    buckets, now = Buckets(), 0.0
    while (found := buckets.take("a", per_minute, now)) is not None and found.granted:
        pass
    assert found is not None
    after = buckets.take("a", per_minute, now + found.reset_s)
    assert after is not None
    assert after.granted


def test_a_flood_of_callers_takes_no_more_memory_and_frees_nobody_who_just_asked() -> None:
    buckets = Buckets(most=100)
    for number in range(1_000):
        buckets.take(f"stranger {number}", 60, number / 1_000)
        assert buckets.take("busy", 1, number / 1_000).granted is (number == 0)  # type: ignore[union-attr]
    assert len(buckets) == 100


@pytest.mark.parametrize(("at_s", "found"), [(4.9, "x"), (5.0, None)])
def test_what_is_recent(at_s: float, found: str | None) -> None:
    recent: Recent[str] = Recent(5, 2)
    recent.put(b"a", "x", 0)
    assert recent.get(b"a", at_s) == found
    assert b"a" in recent
    for name in (b"b", b"c"):
        recent.put(name, "y", 1)
    assert len(recent) == 2
    assert b"a" not in recent
    recent.drop(b"c")
    recent.drop(b"c")
    assert len(recent) == 1
