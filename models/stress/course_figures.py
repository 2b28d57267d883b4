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
MIN_RV = math.pi / (math.pi - 2.0)  # 1 / the mean square of the smaller of two standard normal sizes
GAP = 16.0  # squared deviations beyond which a return is no diffusion
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
    of the closes from the barrier. Its variance is of diffusion alone: an exponentially weighted mean (0.94) of
    min(r_t, r_t-1)^2 pi / (pi - 2), which one gap cannot move (MinRV: Andersen, Dobrev and Schaumburg, J. Econometrics
    169, 2012), that begins at the path's own mean. A return beyond four of its deviations is a gap at the end of its
    step: what diffused before it began and ended at the close before.

    Returns
    -------
    0 to 1; 0 without leverage.
    """
    if leverage <= 0.0:
        return 0.0
    steps = len(equity) - 1
    variance, survival, paid, last = 0.0, 1.0, 0.0, 0.0
    for t in range(steps):
        size = abs(equity[t + 1] / equity[t] - 1.0)
        variance += MIN_RV * min(size, last) ** 2 / max(1, steps - 1)
        last = size
    before, last = equity[0] / capital, 0.0
    for t in range(steps):
        now = equity[t + 1] / capital
        size = abs(now / before - 1.0)
        if t > 0:
            variance = BRIDGE_DECAY * variance + (1.0 - BRIDGE_DECAY) * MIN_RV * min(size, last) ** 2
        last = size
        paid += leverage * funding[t]
        barrier = (leverage - 1.0 + paid) / (leverage * (1.0 - maintenance))
        if barrier > 0.0 and (now <= barrier or before <= barrier):
            return 1.0
        end = before if size * size > GAP * variance else now
        # ln x >= 1 - 1 / x: where even that leaves less than exp(-NEGLIGIBLE) the logarithms are spared.
        if barrier > 0.0 and 2.0 * (end - barrier) * (before - barrier) < NEGLIGIBLE * variance * end * before:
            distance = math.log(end / barrier) * math.log(before / barrier)
            survival *= -math.expm1(-2.0 * distance / variance)
        before = now
    return 1.0 - survival
