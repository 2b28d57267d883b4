"""Whether a value at risk may be shown, and if not, why: the rules of scores (`models.volatility.status`) for tails."""

from __future__ import annotations

import math

import pandas as pd

from models.contracts.market import SeriesKind
from models.contracts.score import ScoreStatus
from models.risk.methods import Method, VarEstimate
from models.risk.var import MIN_RESIDUALS
from models.volatility.outcomes import managed
from models.volatility.panel import Grid, aware
from models.volatility.status import DAYS, FX, Verdict, days_there, shortage, unbelieved

SILENT = (ScoreStatus.QUARANTINED, ScoreStatus.MANAGED, ScoreStatus.STALE)
STOOD_STILL = "over half of the residuals are one value: no continuous law fits"


def standing(found: VarEstimate, grid: Grid, kind: SeriesKind, said: Verdict) -> Verdict:
    """Verdict on an estimate at the last row of a grid.

    Parameters
    ----------
    said : status and reasons of the score that the estimate stands beside. Data that allow no score allow no tail. A
        score that is missing for want of a model takes the methods along that need its forecast; history goes on.

    Returns
    -------
    `required`, `received`, `sufficient_on` where days or known returns are too few.
    """
    as_of = aware(grid.as_of[-1])
    if said.status in SILENT:
        return said
    short = shortage(days_there(grid, kind), kind, as_of)
    if short is not None:
        return short
    if found.method is not Method.HISTORICAL and not said.gives_number:
        return said
    short = shortage((_sample(found),), kind, as_of)
    if short is not None:
        return short
    if math.isnan(found.var99):
        return Verdict(ScoreStatus.INSUFFICIENT_DATA, (STOOD_STILL,))
    if said.gives_number:
        return said
    return unbelieved(grid, bool(managed(grid, kind)[-1])) or Verdict(ScoreStatus.OK)


def no_history(kind: SeriesKind, as_of: pd.Timestamp) -> Verdict:
    """Verdict on a series without a single closed day."""
    found = shortage((("days of history", DAYS[kind in FX][0], 0),), kind, as_of)
    assert found is not None
    return found


def _sample(found: VarEstimate) -> tuple[str, int, int]:
    what = "returns" if found.method is Method.HISTORICAL else "residuals"
    over = "a day" if found.horizon_days == 1 else f"{found.horizon_days} days"
    return f"known {what} over {over}", MIN_RESIDUALS, found.sample
