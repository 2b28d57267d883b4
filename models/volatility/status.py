"""Whether a series may be given a number now, and if not, why and from when on.

Rules of `models.contracts.score.ScoreStatus`. Pure: the moment of scoring is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.contracts.market import SeriesKind
from models.contracts.score import ScoreStatus
from models.volatility.law import MIN_ERRORS
from models.volatility.outcomes import Outcomes
from models.volatility.panel import Grid

FX = (SeriesKind.RANGES, SeriesKind.FIXINGS)
DAYS = {True: (500, 450), False: (365, 330)}  # is FX -> days required, of which not missing
MAX_AGE = pd.Timedelta(hours=2)  # two bars
MAX_AGE_BUSINESS_DAYS = 3
IMPUTED_WARNING = 0.10  # share of the inputs; the keeper's own limit is wider
CALENDAR_PER_OBSERVATION = 7 / 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """`required`, `received`, `sufficient_on` are set for insufficient data only."""

    status: ScoreStatus
    reasons: tuple[str, ...] = ()
    required: int | None = None
    received: int | None = None
    sufficient_on: pd.Timestamp | None = None

    @property
    def gives_number(self) -> bool:
        return self.status in (ScoreStatus.OK, ScoreStatus.DEGRADED)


def judge(
    grid: Grid,
    outcomes: Outcomes,
    kind: SeriesKind,
    errors: int,
    forecast: float,
    now: pd.Timestamp | None,
    doubts: tuple[str, ...] = (),
) -> Verdict:
    """Verdict on the last row of a grid.

    Parameters
    ----------
    errors : known forecast errors behind the law of this series
    forecast : variance a day made at the last row; NaN if the inputs do not allow one
    now : moment of scoring (aware); None judges the series at its own last row, without an age
    doubts : what the caller knows that lessens trust in a number
    """
    as_of = pd.Timestamp(grid.as_of[-1]).tz_localize("UTC")
    silent = unbelieved(grid, bool(outcomes.managed[-1]))
    if silent is not None:
        return silent
    short = shortage((*days_there(grid, kind), ("known forecast errors", MIN_ERRORS, errors)), kind, as_of)
    if short is not None:
        return short
    if not np.isfinite(forecast) or not np.isfinite(outcomes.threshold[-1]):
        why = "the newest days are missing: no forecast can be made from what is there"
        return Verdict(ScoreStatus.INSUFFICIENT_DATA, (why,))
    if now is not None and _is_stale(as_of, now, kind):
        return Verdict(ScoreStatus.STALE, (f"the newest observation closed at {as_of.isoformat()}",))
    reasons = (*doubts, *_doubts(grid))
    return Verdict(ScoreStatus.DEGRADED if reasons else ScoreStatus.OK, reasons)


def unbelieved(grid: Grid, managed: bool) -> Verdict | None:
    """Why the last row of a grid allows no number whatever the history: a held print, a managed rate."""
    if grid.columns["is_held"][-1] == 1.0:
        return Verdict(ScoreStatus.QUARANTINED, ("the newest print is held until others confirm it",))
    if managed:
        return Verdict(ScoreStatus.MANAGED, ("the rate stood still on over 20 % of the last 22 observations",))
    return None


def days_there(grid: Grid, kind: SeriesKind) -> tuple[tuple[str, int, int], ...]:
    """What any number of a series needs: words, required, received."""
    required, present = DAYS[kind in FX]
    recent = grid.rv[-required:]
    seen = int(np.isfinite(recent).sum())
    return ("days of history", required, len(recent)), ("days that are not missing", present, seen)


def shortage(counts: Sequence[tuple[str, int, int]], kind: SeriesKind, as_of: pd.Timestamp) -> Verdict | None:
    """The first of `counts` (words, required, received) that does not suffice, and when it will at the earliest."""
    for what, need, have in counts:
        if have < need:
            days = (need - have) * (CALENDAR_PER_OBSERVATION if kind in FX else 1.0)
            when = as_of + pd.Timedelta(days=int(np.ceil(days)))
            why = f"{need} {what} required, {have} received: enough on {when.date().isoformat()} at the earliest"
            return Verdict(ScoreStatus.INSUFFICIENT_DATA, (why,), need, have, when)
    return None


def _is_stale(as_of: pd.Timestamp, now: pd.Timestamp, kind: SeriesKind) -> bool:
    if kind in FX:
        first, last = (np.datetime64(moment.tz_convert("UTC").date()) for moment in (as_of, now))
        return int(np.busday_count(first, last)) > MAX_AGE_BUSINESS_DAYS
    return bool(now - as_of > MAX_AGE)


def share_imputed(grid: Grid) -> float:
    """Share (0-1) of the inputs of the last row that nobody printed; where it is not known, nothing is: 1."""
    share = float(grid.columns["share_imputed"][-1])
    return 1.0 if np.isnan(share) else share


def _doubts(grid: Grid) -> tuple[str, ...]:
    reasons = []
    if np.isnan(grid.rv[-1]):
        reasons.append("the newest day has too few bars: the mean of the days around it stands in")
    imputed = share_imputed(grid)
    if imputed > IMPUTED_WARNING:
        reasons.append(f"{imputed:.0%} of the inputs are imputed")
    return tuple(reasons)
