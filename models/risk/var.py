"""One-day value at risk and expected shortfall by filtered historical simulation.

z = r / sqrt(F) of the last 1,000 known days; its lower quantile times sqrt(F) of today. Losses are positive, in
log-return units. With `step` > 0 the quantile level adapts to its own hits (Gibbs & Candes 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

TAIL_LEVEL = 0.01
WINDOW = 1000
MIN_RESIDUALS = 300  # a 1 % quantile of fewer rests on less than three observations
ADAPTIVE_STEP = 0.005
LEVEL_RANGE = (0.002, 0.05)


@dataclass(frozen=True, slots=True)
class Tail:
    """What the next one-day tail is drawn from: known standardised returns and the present level."""

    residuals: tuple[float, ...]
    level: float

    def of(self, variance: float) -> tuple[float, float]:
        """VaR99 and ES99 at a forecast variance a day; NaN below `MIN_RESIDUALS` residuals."""
        if len(self.residuals) < MIN_RESIDUALS:
            return math.nan, math.nan
        z = np.array(self.residuals)
        cut = float(np.quantile(z, self.level))
        sigma = math.sqrt(variance)
        return -cut * sigma, -float(z[z <= cut].mean()) * sigma


@njit(cache=True, nogil=True)
def _path(
    ret: FloatArray,
    forecast: FloatArray,
    step: float,
    window: int,
    least: int,
    target: float,
    lowest: float,
    highest: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    n = len(forecast)
    var, es, levels = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    z = np.full(n, np.nan)  # z[s] pairs the forecast made at s with the return of s + 1
    ordered = np.empty(window)
    count = 0
    level = target
    for t in range(n):
        if t > 0:
            s = t - 1
            z[s] = ret[t] / math.sqrt(forecast[s])
            if np.isfinite(z[s]):
                if np.isfinite(var[s]):
                    level += step * (target - (1.0 if ret[t] < -var[s] else 0.0))
                    level = min(max(level, lowest), highest)
                if t - 1 - window < 0 or not np.isfinite(z[t - 1 - window]):
                    spot = np.searchsorted(ordered[:count], z[s])
                    for k in range(count, spot, -1):
                        ordered[k] = ordered[k - 1]
                    ordered[spot] = z[s]
                    count += 1
                else:
                    count = _replace(ordered, count, z[t - 1 - window], z[s])
            elif t - 1 - window >= 0 and np.isfinite(z[t - 1 - window]):
                gone = np.searchsorted(ordered[:count], z[t - 1 - window])
                for k in range(gone, count - 1):
                    ordered[k] = ordered[k + 1]
                count -= 1
        levels[t] = level
        if count < least or not np.isfinite(forecast[t]):
            continue
        position = level * (count - 1)
        below = int(position)
        cut = ordered[below] + (position - below) * (ordered[min(below + 1, count - 1)] - ordered[below])
        total = 0.0
        tail = 0
        while tail < count and ordered[tail] <= cut:
            total += ordered[tail]
            tail += 1
        sigma = math.sqrt(forecast[t])
        var[t] = -cut * sigma
        es[t] = -total / tail * sigma
    return var, es, levels


@njit(cache=True, nogil=True)
def _replace(ordered: FloatArray, count: int, old: float, new: float) -> int:
    gone = np.searchsorted(ordered[:count], old)
    for k in range(gone, count - 1):
        ordered[k] = ordered[k + 1]
    spot = np.searchsorted(ordered[: count - 1], new)
    for k in range(count - 1, spot, -1):
        ordered[k] = ordered[k - 1]
    ordered[spot] = new
    return count


def tail_path(ret: FloatArray, forecast: FloatArray, step: float = 0.0) -> tuple[FloatArray, FloatArray, FloatArray]:
    """VaR99, ES99 and the level in use at every row, each from returns known at that row.

    Parameters
    ----------
    ret : (n,) log return of each day; NaN = missing
    forecast : (n,) variance a day of the next day, made at each row; NaN = none
    step : gain of the adaptive level, 0 = fixed at 1 %

    Returns
    -------
    var, es : (n,), NaN below 300 known residuals or without a forecast
    level : (n,) within [0.002, 0.05]
    """
    var, es, level = _path(ret, forecast, step, WINDOW, MIN_RESIDUALS, TAIL_LEVEL, *LEVEL_RANGE)
    return var, es, level


def last_tail(ret: FloatArray, forecast: FloatArray, step: float = 0.0) -> Tail:
    """The tail in force after the last row of (n,) returns and forecasts."""
    level = tail_path(ret, forecast, step)[2][-1] if len(ret) else TAIL_LEVEL
    z = ret[1:] / np.sqrt(forecast[:-1])
    recent = z[-WINDOW:]
    return Tail(tuple(recent[np.isfinite(recent)].tolist()), float(level))
