"""Value at risk and expected shortfall by filtered historical simulation.

z = R / sqrt(h F) of the last 1,000 known days, R the return over h days and F the variance a day that was forecast for
them; its lower quantile times sqrt(h F) of today. A longer horizon has forecasts and residuals of its own: one day's
figure is never scaled by sqrt(h). Losses are positive, in log-return units. With `step` > 0 the quantile level adapts
to its own hits (Gibbs & Candes 2021).
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
LEVEL_BOUNDS = (0.2, 5.0)  # of the adaptive level, times the level that is promised


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
    lag: int,
    step: float,
    window: int,
    least: int,
    target: float,
    lowest: float,
    highest: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    n = len(forecast)
    var, es, levels = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    z = np.full(n, np.nan)  # z[s] pairs the forecast made at s with the return from s to s + lag
    ordered = np.empty(window)
    count = 0
    level = target
    for t in range(n):
        if t >= lag:
            s = t - lag
            z[s] = ret[t] / math.sqrt(forecast[s])
            if np.isfinite(z[s]):
                if np.isfinite(var[s]):
                    level += step * (target - (1.0 if ret[t] < -var[s] else 0.0))
                    level = min(max(level, lowest), highest)
                if s - window < 0 or not np.isfinite(z[s - window]):
                    spot = np.searchsorted(ordered[:count], z[s])
                    for k in range(count, spot, -1):
                        ordered[k] = ordered[k - 1]
                    ordered[spot] = z[s]
                    count += 1
                else:
                    count = _replace(ordered, count, z[s - window], z[s])
            elif s - window >= 0 and np.isfinite(z[s - window]):
                gone = np.searchsorted(ordered[:count], z[s - window])
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


def tail_path(
    ret: FloatArray, forecast: FloatArray, step: float = 0.0, level: float = TAIL_LEVEL, horizon_days: int = 1
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """VaR, ES and the level in use at every row, each from returns known at that row.

    Parameters
    ----------
    ret : (n,) log return of each day; NaN = missing, and so are the windows that hold it
    forecast : (n,) mean variance a day over the next `horizon_days`, made at each row; NaN = none
    step : gain of the adaptive level, 0 = fixed
    level : promised share of losses beyond the VaR, 0.01 for VaR99

    Returns
    -------
    var, es : (n,) loss over the horizon, NaN below 300 known residuals or without a forecast
    level : (n,) within a fifth and five times the promised one: [0.002, 0.05] at 1 %
    """
    lowest, highest = LEVEL_BOUNDS[0] * level, LEVEL_BOUNDS[1] * level
    over, variance = trailing_sum(ret, horizon_days), forecast * horizon_days
    var, es, used = _path(over, variance, horizon_days, step, WINDOW, MIN_RESIDUALS, level, lowest, highest)
    return var, es, used


def trailing_sum(ret: FloatArray, days: int) -> FloatArray:
    """(n,) log return over the last `days` rows, NaN where one is missing or not there yet."""
    if days == 1:
        return ret
    out = np.full(len(ret), np.nan)
    if len(ret) >= days:
        out[days - 1 :] = np.lib.stride_tricks.sliding_window_view(ret, days).sum(axis=1)
    return out


def last_tail(ret: FloatArray, forecast: FloatArray, step: float = 0.0) -> Tail:
    """The one-day tail in force after the last row of (n,) returns and forecasts."""
    level = tail_path(ret, forecast, step)[2][-1] if len(ret) else TAIL_LEVEL
    z = ret[1:] / np.sqrt(forecast[:-1])
    recent = z[-WINDOW:]
    return Tail(tuple(recent[np.isfinite(recent)].tolist()), float(level))
