"""Holes in a series: runs of expected slots without a row, and silences of series without slots.

Here: finding them. Asking a source for what is missing and recording the answer is `orchestration.quality.gap_scan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from models.contracts.market import Calendar
from models.timeseries.calendars import WEEKEND, closed_days, expected_slots, interval_length


@dataclass(frozen=True, slots=True)
class Gap:
    """`start`: first missing slot. `end`: end of the last missing one, exclusive. Closed days inside do not count."""

    start: datetime
    end: datetime
    missing_slots: int


def find_gaps(ts: pd.DatetimeIndex, interval: str, calendar: Calendar, start: datetime, end: datetime) -> list[Gap]:
    """Runs of slots in [start, end) that the calendar expects and no row of `ts` falls into.

    Parameters
    ----------
    ts
        Times of the rows (n,), aware UTC, any order. A time inside a slot fills it: providers stamp minutes late.
    interval, calendar
        Grid and days on which slots are expected.
    start, end
        Bounds of the search, aware.

    Returns
    -------
    Gaps in time order. Slots on both sides of a weekend are neighbours: Friday and Monday missing is one gap.
    """
    slots = expected_slots(start, end, interval, calendar)
    length = interval_length(interval) or timedelta(0)
    missing = ~slots.isin(pd.DatetimeIndex(ts).floor(length))
    return _runs(slots, missing, length)


def fill_runs(ts: pd.DatetimeIndex, gap: Gap, interval: str, calendar: Calendar) -> tuple[list[Gap], list[Gap]]:
    """What of a gap rows at `ts` have filled, and what is still missing, each as runs in time order."""
    slots = expected_slots(gap.start, gap.end, interval, calendar)
    length = interval_length(interval) or timedelta(0)
    missing = ~slots.isin(pd.DatetimeIndex(ts).floor(length))
    return _runs(slots, ~missing, length), _runs(slots, missing, length)


def find_silences(ts: pd.DatetimeIndex, longest: timedelta, calendar: Calendar = Calendar.ALWAYS) -> list[Gap]:
    """Spans between rows of an irregular series that are longer than `longest`.

    Days on which the calendar is closed do not count; `longest` then means a span over a weekend, as the age of a
    series does, and leaves at least a day. `missing_slots` counts how often the allowed span fits into the silence. A
    span starts just after the row before it.
    """
    times = pd.DatetimeIndex(ts).sort_values().unique()
    if len(times) < 2:
        return []
    spans = np.asarray(times[1:] - times[:-1])
    if calendar is not Calendar.ALWAYS:
        spans = spans - closed_days(times, calendar) * np.timedelta64(1, "D")
        longest = max(longest - WEEKEND, timedelta(days=1))
    return [
        Gap(
            (times[i] + pd.Timedelta(microseconds=1)).to_pydatetime(),
            times[i + 1].to_pydatetime(),
            int(spans[i] // np.timedelta64(longest)),
        )
        for i in np.flatnonzero(spans > np.timedelta64(longest)).tolist()
    ]


def merge(gaps: list[Gap], nearest: timedelta) -> list[tuple[datetime, datetime]]:
    """Windows that cover the gaps; neighbours closer than `nearest` share one: one question instead of many."""
    windows: list[tuple[datetime, datetime]] = []
    for gap in sorted(gaps, key=lambda g: g.start):
        if windows and gap.start - windows[-1][1] <= nearest:
            windows[-1] = (windows[-1][0], max(windows[-1][1], gap.end))
        else:
            windows.append((gap.start, gap.end))
    return windows


def _runs(slots: pd.DatetimeIndex, chosen: np.ndarray, length: timedelta) -> list[Gap]:
    edges = np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [
        Gap(slots[a].to_pydatetime(), slots[b - 1].to_pydatetime() + length, int(b - a))
        for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
