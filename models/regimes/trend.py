"""Trend of a price in units of its own volatility."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.regimes.states import Trend

FloatArray = NDArray[np.float64]

THRESHOLD = 0.5  # of what chance alone would have moved it: a random walk is flat on 38 % of days


def trend_strength(ret: FloatArray, month_rv: FloatArray, days: int) -> FloatArray:
    """Return over the last `days` over sigma sqrt(`days`).

    Parameters
    ----------
    ret : (n,) log return of each day
    month_rv : (n,) mean variance a day over the same days, > 0

    Returns
    -------
    (n,) dimensionless; NaN before there are `days` returns, where one of them is missing (its move would be left
    out), and where the variance is.
    """
    total = pd.Series(ret).rolling(days, min_periods=days).sum().to_numpy()
    return np.asarray(total / np.sqrt(month_rv * days))


def trend_of(strength: float) -> Trend | None:
    """Label of one day; None where the strength is NaN."""
    if math.isnan(strength):
        return None
    if abs(strength) <= THRESHOLD:
        return Trend.FLAT
    return Trend.UP if strength > 0 else Trend.DOWN
