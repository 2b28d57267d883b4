"""Figures of one course of equity, compiled: what is kept of a simulated path of a vault."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FIGURES = 10
RETURN, DRAWDOWN, LOWEST, UNDER_WATER, SPELL, TURNOVER, TRADES, COST, EXPOSURE, LIQUIDATION = range(FIGURES)
BRIDGE_DECAY = 0.94
NEGLIGIBLE = 40.0  # exp(-40) is below the rounding of a probability


@njit(cache=True, nogil=True)
def measure_course(equity: FloatArray, exposure: FloatArray, capital: float, out: FloatArray) -> None:
    """Return, largest drawdown, lowest point after the start (1 = the start), share of steps under water, longest spell
    in steps, counted to the end where it has not recovered, and mean exposure of one path into (10,) `out`.

    Parameters
    ----------
    equity : (n,) dollars, the start first; exposure (n,) after the fills at each close
    """
    peak, trough, fall, lowest = equity[0], equity[0], 0.0, np.inf
    wet, spell, longest = 0, 0, 0
    for t in range(1, len(equity)):
        now = equity[t]
        lowest = min(lowest, now)
        if now < peak:
            trough = min(trough, now)
            wet += 1
            spell += 1
            longest = max(longest, spell)
        else:
            fall = max(fall, 1.0 - trough / peak)
            peak, trough, spell = now, now, 0
    out[RETURN], out[LOWEST] = equity[-1] / capital - 1.0, lowest / capital
    out[DRAWDOWN] = max(fall, 1.0 - trough / peak)
    out[UNDER_WATER], out[SPELL], out[EXPOSURE] = wet / (len(equity) - 1), longest, exposure.mean()


@njit(cache=True, nogil=True)
def liquidation(equity: FloatArray, funding: FloatArray, capital: float, leverage: float, maintenance: float) -> float:
    """Probability that a holder with `leverage` times his own money in the vault is liquidated on this path.

    Liquidated where 1 + l (P - 1) - l (funding so far) <= m l P, P = equity over the start. Between two closes on the
    safe side a Brownian bridge may have crossed: exp(-2 a b / variance of the step), a and b the logarithmic distances
    of the closes from the barrier. The variance is an exponentially weighted one (0.94) of simple returns that begins
    at the path's own.

    Returns
    -------
    0 to 1; 0 without leverage.
    """
    if leverage <= 0.0:
        return 0.0
    steps = len(equity) - 1
    variance, survival, paid = 0.0, 1.0, 0.0
    for t in range(steps):
        variance += (equity[t + 1] / equity[t] - 1.0) ** 2 / steps
    before = equity[0] / capital
    for t in range(steps):
        now = equity[t + 1] / capital
        variance = BRIDGE_DECAY * variance + (1.0 - BRIDGE_DECAY) * (now / before - 1.0) ** 2
        paid += leverage * funding[t]
        barrier = (leverage - 1.0 + paid) / (leverage * (1.0 - maintenance))
        if barrier > 0.0 and (now <= barrier or before <= barrier):
            return 1.0
        # ln x >= 1 - 1 / x: where even that leaves less than exp(-NEGLIGIBLE) the logarithms are spared.
        if barrier > 0.0 and 2.0 * (now - barrier) * (before - barrier) < NEGLIGIBLE * variance * now * before:
            distance = math.log(now / barrier) * math.log(before / barrier)
            survival *= -math.expm1(-2.0 * distance / variance)
        before = now
    return 1.0 - survival
