from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.market import Calendar
from models.timeseries.gaps import Gap, fill_runs, find_gaps, find_silences, merge

T0 = datetime(2021, 1, 4, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def hours(*offsets: float) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([T0 + o * HOUR for o in offsets])


@pytest.mark.parametrize(
    ("present", "gaps"),
    [
        ([0, 1, 2, 3, 4, 5], []),
        ([0, 1, 4, 5], [(2, 4, 2)]),
        ([1, 3, 5], [(0, 1, 1), (2, 3, 1), (4, 5, 1)]),
        ([0, 1, 2], [(3, 6, 3)]),
        ([], [(0, 6, 6)]),
        ([0.4, 1.9, 2, 3, 4, 5], []),  # stamped minutes late
        ([5, 4, 3, 2, 1, 0, 0], []),  # any order, twice
    ],
)
def test_hours_around_the_clock(present: list[float], gaps: list[tuple[int, int, int]]) -> None:
    found = find_gaps(hours(*present), "1h", Calendar.ALWAYS, T0, T0 + 6 * HOUR)
    assert found == [Gap(T0 + a * HOUR, T0 + b * HOUR, n) for a, b, n in gaps]


def test_weekend_neither_counts_nor_separates() -> None:
    days = pd.DatetimeIndex([T0 + d * DAY for d in (0, 1, 2, 3, 8, 9)])  # Friday and Monday missing
    assert find_gaps(days, "1d", Calendar.FX_WEEK, T0, T0 + 10 * DAY) == [Gap(T0 + 4 * DAY, T0 + 8 * DAY, 2)]


@given(missing=st.sets(st.integers(0, 59)), calendar=st.sampled_from(Calendar))
def test_gaps_are_exactly_the_missing_slots(missing: set[int], calendar: Calendar) -> None:
    present = pd.DatetimeIndex([T0 + d * DAY for d in range(60) if d not in missing])
    expected = {d for d in missing if calendar is Calendar.ALWAYS or (T0 + d * DAY).weekday() < 5}
    gaps = find_gaps(present, "1d", calendar, T0, T0 + 60 * DAY)
    assert sum(gap.missing_slots for gap in gaps) == len(expected)
    assert all(any(g.start <= T0 + d * DAY < g.end for g in gaps) for d in expected)
    assert all(a.end <= b.start for a, b in pairwise(gaps))
    for gap in gaps:
        filled, still = fill_runs(present, gap, "1d", calendar)
        assert (filled, still) == ([], [gap])


def test_a_gap_filled_in_part_falls_into_runs() -> None:
    gap = Gap(T0, T0 + 6 * HOUR, 6)
    filled, missing = fill_runs(hours(0, 1, 4), gap, "1h", Calendar.ALWAYS)
    assert filled == [Gap(T0, T0 + 2 * HOUR, 2), Gap(T0 + 4 * HOUR, T0 + 5 * HOUR, 1)]
    assert missing == [Gap(T0 + 2 * HOUR, T0 + 4 * HOUR, 2), Gap(T0 + 5 * HOUR, T0 + 6 * HOUR, 1)]


def test_silence_starts_after_the_row_before_it() -> None:
    (silence,) = find_silences(hours(0, 2, 2, 7), 2 * HOUR)
    assert silence == Gap(T0 + 2 * HOUR + timedelta(microseconds=1), T0 + 7 * HOUR, 2)
    assert find_silences(hours(0), HOUR) == []


@pytest.mark.parametrize(
    ("days", "silent"),
    [
        ([0, 1, 2, 3, 4, 7, 8], []),  # a weekend is no silence
        ([0, 1, 3, 4, 7], [(1, 3)]),
        ([3, 7, 8], [(3, 7)]),  # Friday is missing
        ([3, 4, 8], [(4, 8)]),  # Monday is missing
        ([-5, -4, 0], []),  # New Year, a Friday, and the weekend
        ([-5, 0], [(-5, 0)]),  # Thursday before New Year is missing
    ],
)
def test_closed_days_are_no_silence(days: list[int], silent: list[tuple[int, int]]) -> None:
    ts = pd.DatetimeIndex([T0 + d * DAY for d in days])
    found = find_silences(ts, 3 * DAY, Calendar.FX_WEEK)
    assert [((g.start - T0) // DAY, (g.end - T0) // DAY) for g in found] == silent


@pytest.mark.parametrize(
    ("nearest", "windows"),
    [(HOUR, [(0, 1), (3, 4), (10, 11)]), (2 * HOUR, [(0, 4), (10, 11)]), (timedelta.max, [(0, 11)])],
)
def test_neighbouring_gaps_share_a_question(nearest: timedelta, windows: list[tuple[int, int]]) -> None:
    gaps = [Gap(T0 + h * HOUR, T0 + (h + 1) * HOUR, 1) for h in (10, 0, 3)]
    assert merge(gaps, nearest) == [(T0 + a * HOUR, T0 + b * HOUR) for a, b in windows]


@pytest.mark.realdata
@pytest.mark.parametrize("coin", ["BTC", "ETH", "XLM", "XRP", "LTC", "ADA", "BNB"])
def test_outages_of_the_recorded_coins(real_data: Path, coin: str) -> None:
    ts = pd.DatetimeIndex(pd.to_datetime(pd.read_csv(real_data / "candles_1h" / f"{coin}.csv.gz")["ts"], utc=True))
    gaps = find_gaps(ts, "1h", Calendar.ALWAYS, ts[0].to_pydatetime(), ts[-1].to_pydatetime())
    assert 25 <= len(gaps) <= 28
    assert 88 <= sum(gap.missing_slots for gap in gaps) <= 128
