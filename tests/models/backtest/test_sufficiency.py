"""Enough or not, and a hint that can be followed."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.backtest.sufficiency import EPOCH, Shortage, Span, find_span

FIRST = 19_000
TEN = np.arange(FIRST, FIRST + 10)


def day(number: int) -> date:
    return EPOCH + timedelta(days=FIRST + number)


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [
        (None, None, (0, 2, 9, 8)),
        (2, None, (0, 2, 9, 8)),
        (5, None, (3, 5, 9, 5)),
        (2, 6, (0, 2, 6, 5)),
        (4, 20, (2, 4, 9, 6)),
    ],
)
def test_spans(start: int | None, end: int | None, span: tuple[int, int, int, int]) -> None:
    found = find_span(TEN, FIRST, 2, day(start) if start is not None else None, day(end) if end else None, 5)
    back, first, last, days = span
    assert found == Span(day(back), day(first), day(last), days)


@pytest.mark.parametrize(
    ("start", "end", "received", "suggested_start", "suggested_end"),
    [
        (1, None, 9, 2, None),  # too early for the lookback
        (6, None, 4, 5, None),  # too late: the latest start that leaves five
        (4, 7, 4, 3, None),
        (2, 5, 4, 2, 6),  # no earlier start can help: a later end
        (0, 3, 4, 2, 6),
    ],
)
def test_shortages(start: int, end: int | None, received: int, suggested_start: int, suggested_end: int | None) -> None:
    found = find_span(TEN, FIRST, 2, day(start), day(end) if end else None, 5)
    assert isinstance(found, Shortage)
    assert (found.required, found.received, found.lookback) == (5, received, 2)
    assert (found.earliest, found.latest) == (day(0), day(9))
    assert found.suggested_start == day(suggested_start)
    assert found.suggested_end == (day(suggested_end) if suggested_end else None)
    assert found.sufficient_on is None


@pytest.mark.parametrize(
    ("lookback", "first_score", "on"),
    [
        (6, 0, 10),  # 6 + 5 days, ten are there
        (15, 0, 19),
        (2, 8, 12),  # five days from the first score on
        (2, 14, 18),
    ],
)
def test_when_there_will_be_enough(lookback: int, first_score: int, on: int) -> None:
    found = find_span(TEN, FIRST + first_score, lookback, required=5)
    assert isinstance(found, Shortage)
    assert (found.suggested_start, found.sufficient_on) == (None, day(on))


def test_without_a_day_or_a_score_no_date_helps() -> None:
    nothing = find_span(np.array([], dtype=np.int64), FIRST, 2)
    silent = find_span(TEN, None, 0, required=5)
    assert isinstance(nothing, Shortage)
    assert isinstance(silent, Shortage)
    assert (nothing.earliest, nothing.latest, nothing.received, nothing.sufficient_on) == (None, None, 0, None)
    assert (silent.suggested_start, silent.sufficient_on) == (None, None)


offsets = st.integers(-20, 90)


@settings(max_examples=400, deadline=None)
@given(
    st.sets(st.integers(0, 60), max_size=60),
    st.none() | offsets,
    st.integers(0, 30),
    st.none() | offsets,
    st.none() | offsets,
    st.integers(1, 40),
)
def test_following_the_hint_succeeds(
    present: set[int], first_score: int | None, lookback: int, start: int | None, end: int | None, required: int
) -> None:
    usable = np.array(sorted(present), dtype=np.int64) + FIRST
    score = None if first_score is None else FIRST + first_score
    wished = tuple(None if offset is None else day(offset) for offset in (start, end))
    found = find_span(usable, score, lookback, *wished, required)
    if isinstance(found, Span):
        assert found.days >= required
        return
    assert found.required == required
    if found.suggested_start is not None:
        followed = find_span(usable, score, lookback, found.suggested_start, found.suggested_end or wished[1], required)
    elif found.sufficient_on is not None:
        until = (found.sufficient_on - EPOCH).days
        more = np.concatenate([usable, np.arange(usable[-1] + 1, until + 1)])
        followed = find_span(more, score, lookback, None, None, required)
        assert isinstance(find_span(more[:-1], score, lookback, None, None, required), Shortage), "not the earliest"
    else:
        assert score is None or not len(usable)
        return
    assert isinstance(followed, Span)
    assert followed.days >= required
