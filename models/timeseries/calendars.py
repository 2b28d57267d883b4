"""When data is expected: the slots of an interval on a market's calendar.

Here: around the clock, and the week of the currency market. A holiday is listed only if the whole market closes;
closures of one source are not guessed: they show as gaps that the source cannot fill.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.market import Calendar

IRREGULAR = "irregular"
WEEKEND = timedelta(days=2)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_SATURDAY = 5
_FX_HOLIDAYS = ((1, 1), (12, 25))  # (month, day): the only days on which no centre trades currencies


def interval_length(interval: str) -> timedelta | None:
    """Length of `1m`, `4h`, `1d` ...; None for `irregular`. Raises ValueError for anything else."""
    if interval == IRREGULAR:
        return None
    unit = _UNITS.get(interval[-1:])
    if unit is None or not interval[:-1].isdigit() or int(interval[:-1]) == 0:
        raise ValueError(f"interval {interval!r} is not a number of m, h or d, nor {IRREGULAR}")
    return unit * int(interval[:-1])


def is_open(times: pd.DatetimeIndex, calendar: Calendar) -> NDArray[np.bool_]:
    """Whether each time (n,), aware UTC, lies on a day of the calendar."""
    if calendar is Calendar.ALWAYS:
        return np.ones(len(times), dtype=bool)
    month, day = np.asarray(times.month), np.asarray(times.day)
    holiday = np.zeros(len(times), dtype=bool)
    for closed_month, closed_day in _FX_HOLIDAYS:
        holiday |= (month == closed_month) & (day == closed_day)
    return (np.asarray(times.day_of_week) < _SATURDAY) & ~holiday


def closed_days(times: pd.DatetimeIndex, calendar: Calendar) -> NDArray[np.int64]:
    """Closed days strictly between the days of neighbouring times (n,), ascending and aware UTC -> (n - 1,)."""
    days = times.floor("D")
    every = pd.date_range(days[0], days[-1], freq="1D")
    closed = np.concatenate([[0], np.cumsum(~is_open(every, calendar))])  # of the days before each
    place = every.get_indexer(days)
    between: NDArray[np.int64] = np.maximum(closed[place[1:]] - closed[place[:-1] + 1], 0)
    return between


def expected_slots(start: datetime, end: datetime, interval: str, calendar: Calendar) -> pd.DatetimeIndex:
    """Slots with start <= slot < end that the calendar expects, on the grid of the interval counted from 1970.

    Raises ValueError for `irregular`, which expects none, and for times without a zone.
    """
    length = interval_length(interval)
    if length is None:
        raise ValueError("an irregular series has no slots")
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end must be aware times")
    slots = pd.date_range(pd.Timestamp(start).ceil(length), pd.Timestamp(end), freq=length, inclusive="left", unit="us")
    return slots[is_open(slots, calendar)]
