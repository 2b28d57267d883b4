"""Forecasts in shadow against those that served, once their outcomes are known. Pure.

One forecast a day and series counts, that of the protocol's origin: hourly ones share their horizon and say little new.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from models.contracts.market import SeriesKind
from models.validation.evaluation import comparable, panel_losses
from models.validation.losses import qlike
from models.validation.power import Reading, read
from models.volatility.panel import aware, build_panel
from models.volatility.targets import forward_mean

KEY = ["series", "as_of"]


def outcomes(rows: pd.DataFrame, kind: SeriesKind, horizon_days: int) -> pd.DataFrame:
    """`series`, `as_of` (aware UTC), `realised` (mean variance a day over the horizon) of every origin whose outcome is
    known. `rows`: rows of `features.volatility` at the origins, none of a day that has not closed."""
    parts = []
    if len(rows):
        for series, grid in build_panel(rows, kind).grids.items():
            known = forward_mean(grid.rv, horizon_days)
            moments = pd.DatetimeIndex([aware(moment) for moment in grid.as_of[np.isfinite(known)]])
            parts.append(pd.DataFrame({"series": series, "as_of": moments, "realised": known[np.isfinite(known)]}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*KEY, "realised"])


def compare(own: pd.DataFrame, other: pd.DataFrame, known: pd.DataFrame, horizon_days: int) -> Reading:
    """Whether `own` forecasts lose less than `other` ones where both spoke and the outcome is known.

    Parameters
    ----------
    own, other : `series`, `as_of`, `rv_forecast`; one row a series and moment
    known : see `outcomes`
    """
    both = own[[*KEY, "rv_forecast"]].merge(other[[*KEY, "rv_forecast"]], on=KEY, suffixes=("", "_other"))
    both = both.merge(known, on=KEY)
    realised = both["realised"].to_numpy(dtype=float)
    losses = pd.DataFrame(
        {
            "date": pd.DatetimeIndex(both["as_of"]).floor("D"),
            "own": qlike(realised, both["rv_forecast"].to_numpy(dtype=float)),
            "other": qlike(realised, both["rv_forecast_other"].to_numpy(dtype=float)),
        }
    )
    return _read(losses.groupby("date")[["own", "other"]].mean(), "own", "other", horizon_days)


def compare_evaluated(walk_forward: pd.DataFrame, own: str, other: str) -> Reading | None:
    """The same comparison in an evaluation: the d to expect in shadow. None where a member has no comparable row."""
    losses = panel_losses(comparable(walk_forward))
    if own not in losses or other not in losses:
        return None
    return _read(losses, own, other, int(walk_forward["horizon_days"].iloc[0]))


def _read(losses: pd.DataFrame, own: str, other: str, horizon_days: int) -> Reading:
    """Date means, thinned until their horizons do not overlap: overlapping ones would be counted as evidence twice."""
    kept, free_from = [], -math.inf
    for position, date in enumerate(losses.index):
        day = pd.Timestamp(date).timestamp() / 86_400
        if day >= free_from:
            kept.append(position)
            free_from = day + horizon_days
    chosen = losses.iloc[kept]
    return read(chosen[own].to_numpy(dtype=float), chosen[other].to_numpy(dtype=float))
