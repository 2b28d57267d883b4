"""What a path of weights held: how much risk, how concentrated, how often it was changed. And the weights that hold a
portfolio's volatility at a target.

A weight is the share of the portfolio in one risky asset; what the weights leave to 1 lies in a stable one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

NO_TRADE_BAND = 0.10  # of the wanted weight: a smaller change of volatility is within the error of its forecast


@dataclass(frozen=True, slots=True)
class Exposure:
    """Means over the rows of a path: `gross` (sum of absolute weights), `net` (sum of weights), `concentration`
    (Herfindahl index of the absolute weights on rows that held any, 1 / k to 1; NaN without one). `highest`: largest
    gross. `invested`: share of rows that held anything. `turnover`: traded share of the portfolio a step, the stable
    asset included (half the sum of absolute changes)."""

    gross: float
    net: float
    highest: float
    invested: float
    concentration: float
    turnover: float


def exposure(weights: FloatArray) -> Exposure:
    """Figures of a path of weights: (n,) of one asset or (n, k) of several, n > 0, without NaN. Weights are taken as
    held: drift of prices between two rows is for the caller to put in."""
    held = weights.reshape(len(weights), -1)
    gross = np.abs(held).sum(axis=1)
    some = gross > 0
    shares = np.abs(held[some]) / gross[some, None]
    whole = np.column_stack([held, 1.0 - held.sum(axis=1)])
    return Exposure(
        gross=float(gross.mean()),
        net=float(held.sum(axis=1).mean()),
        highest=float(gross.max()),
        invested=float(some.mean()),
        concentration=float((shares**2).sum(axis=1).mean()) if some.any() else math.nan,
        turnover=float(np.abs(np.diff(whole, axis=0)).sum(axis=1).mean() / 2) if len(held) > 1 else 0.0,
    )


def volatility_target_weights(
    volatility: FloatArray, target: float, highest: float = 1.0, band: float = NO_TRADE_BAND, held: float = 0.0
) -> FloatArray:
    """Weight held after each row: min(highest, target / volatility), with a band around it in which nothing is traded.

    Parameters
    ----------
    volatility : (n,) forecast volatility (> 0) at each row, in the unit of `target`; NaN = none: the weight stays
    target : volatility that is wanted
    highest : largest weight; 1 = no leverage
    band : the held weight stays while it is within this share of the wanted one; beyond it the wanted one is bought
    held : weight before the first row

    Returns
    -------
    (n,) weights; each uses the volatility of its own row, so it earns from the next return on

    Raises
    ------
    ValueError
        A volatility, the target or the highest weight is not positive.
    """
    if target <= 0 or highest <= 0 or (volatility <= 0).any():
        raise ValueError("volatility, target and highest must be positive")
    wanted = np.minimum(highest, target / volatility)
    out = np.empty(len(wanted))
    for row, weight in enumerate(wanted.tolist()):
        if abs(weight - held) > band * weight:  # never true without a forecast
            held = weight
        out[row] = held
    return out
