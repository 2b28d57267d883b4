"""Whether there is enough to backtest, and if not, what to ask for instead.

A refusal says what is required, what was received and which question would be answered: a start, an end, or the day
on which there will be enough. Whoever follows it gets an answer; a test does so at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from models.backtest.intervals import MIN_DAYS
from models.contracts.score import ScoreStatus

IntArray = NDArray[np.int64]

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Span:
    """Days of a backtest: strategies may look back to `lookback_from`, the `days` usable ones from `start` to `end`
    count."""

    lookback_from: date
    start: date
    end: date
    days: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why there is no backtest, and the way to one.

    `required`, `received`: usable days in the wanted time; `lookback`: usable days that a strategy needs before it;
    `earliest`, `latest`: first and last day with data, None without any. Ask again with `suggested_start` and, where
    given, `suggested_end`; if no question can be answered yet, `sufficient_on` is the earliest day that changes it,
    should every day from now on be usable (None = no score is expected, so no day does).
    """

    reason: str
    required: int
    received: int
    lookback: int
    earliest: date | None
    latest: date | None
    suggested_start: date | None = None
    suggested_end: date | None = None
    sufficient_on: date | None = None
    status: ScoreStatus = ScoreStatus.INSUFFICIENT_DATA

    @property
    def way_out(self) -> str | None:
        """The question that would be answered, in words; None where only time helps."""
        if self.suggested_end is not None:
            return f"ask from {self.suggested_start} to {self.suggested_end}"
        return None if self.suggested_start is None else f"ask from {self.suggested_start}"

    @property
    def field(self) -> str:
        """The field of a request that would have to change."""
        return "end" if self.suggested_end else "start"


def find_span(
    usable_days: IntArray,
    first_score_day: int | None,
    lookback: int,
    start: date | None = None,
    end: date | None = None,
    required: int = MIN_DAYS,
) -> Span | Shortage:
    """The span of a backtest, or the shortage that forbids it.

    Parameters
    ----------
    usable_days : (n,) days since 1970, increasing, on which every leg has a price.
    first_score_day : first day with a score; None = there is none. A strategy that reads no score: the first usable
        day will do.
    lookback : usable days that must lie before the start.
    start, end : wished; None = as early, as late as can be.
    required : usable days from start to end.
    """
    if not len(usable_days):
        return Shortage("no day has a price of every leg", required, 0, lookback, None, None)
    last = int(usable_days[-1])
    possible = _first_start(usable_days, first_score_day, lookback)
    wished_end = last if end is None else (end - EPOCH).days
    if start is not None:
        wished_start = (start - EPOCH).days
    else:
        wished_start = possible if possible is not None else int(usable_days[0])
    inside = usable_days[(usable_days >= wished_start) & (usable_days <= wished_end)]
    if possible is not None and wished_start >= possible and len(inside) >= required:
        before = int(np.searchsorted(usable_days, inside[0])) - lookback
        return Span(_date(usable_days[before]), _date(inside[0]), _date(inside[-1]), len(inside))
    early = possible is None or wished_start < possible
    reason = (
        f"{lookback} usable days and a score are needed before the start"
        if early
        else f"{required} usable days are needed from start to end, {len(inside)} are there"
    )
    hint = _hint(usable_days, possible, wished_start, wished_end, required)
    on = None if hint[0] is not None else _sufficient_on(usable_days, first_score_day, lookback, required)
    earliest, latest = _date(usable_days[0]), _date(last)
    return Shortage(reason, required, len(inside), lookback, earliest, latest, *hint, on)


def _first_start(usable_days: IntArray, first_score_day: int | None, lookback: int) -> int | None:
    if first_score_day is None or lookback >= len(usable_days):
        return None
    later = usable_days[lookback:]
    later = later[later >= first_score_day]
    return int(later[0]) if len(later) else None


def _hint(
    usable_days: IntArray, possible: int | None, start: int, end: int, required: int
) -> tuple[date | None, date | None]:
    """Start nearest to the wished one that leaves enough days before the wished end; else the earliest with an end."""
    if possible is None:
        return None, None
    until_end = usable_days[(usable_days >= possible) & (usable_days <= end)]
    if len(until_end) >= required:
        return _date(min(max(start, possible), int(until_end[-required]))), None
    onwards = usable_days[usable_days >= possible]
    if len(onwards) >= required:
        return _date(possible), _date(onwards[required - 1])
    return None, None


def _sufficient_on(usable_days: IntArray, first_score_day: int | None, lookback: int, required: int) -> date | None:
    if first_score_day is None:
        return None
    last = int(usable_days[-1])
    more = lookback + required + max(0, first_score_day - last)
    with_more = np.concatenate([usable_days, np.arange(last + 1, last + 1 + more)])
    possible = _first_start(with_more, first_score_day, lookback)
    assert possible is not None  # enough days were added
    return _date(with_more[with_more >= possible][required - 1])


def _date(day: int | np.int64) -> date:
    return EPOCH + timedelta(days=int(day))
