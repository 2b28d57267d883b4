"""Value at risk and expected shortfall of one series by several methods, with what each was worth in the last year.

A path says what a method would have said at every row from what was known then; its last row is the word of today,
the rows before it are the backtest. Horizons of h days are judged on every h-th row: overlapping losses depend on
each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import Protocol
from models.risk.tails import fit_student_t
from models.risk.var import MIN_RESIDUALS, WINDOW, tail_path, trailing_sum

FloatArray = NDArray[np.float64]

LEVELS = (0.05, 0.01)  # shares of losses beyond VaR95 and VaR99


class Method(StrEnum):
    """HISTORICAL knows no forecast: the sample of the last 1,000 days as it is. FILTERED and STUDENT_T scale what was
    left of past returns over their forecasts by today's forecast: by its own quantiles, or by a t law fitted to it."""

    HISTORICAL = "historical"
    FILTERED = "filtered"
    STUDENT_T = "student_t"


@dataclass(frozen=True, slots=True)
class VarEstimate:
    """Tail of the next `horizon_days` at the last row of a series, in log-return units; NaN = no number.

    `sample`: known returns (historical) or residuals it rests on, at most 1,000; those of h days overlap. `tested`:
    rows of the last year, h days apart, on which the method had spoken and the loss is known; `exceeded95`,
    `exceeded99`: on how many the loss was larger than the VaR.
    """

    method: Method
    horizon_days: int
    var95: float
    es95: float
    var99: float
    es99: float
    sample: int
    tested: int
    exceeded95: int
    exceeded99: int


def estimate(
    method: Method, ret: FloatArray, forecast: FloatArray, horizon_days: int, protocol: Protocol, step: float = 0.0
) -> VarEstimate:
    """VaR and ES at 95 and 99 % of the days after the last row.

    Parameters
    ----------
    ret : (n,) log return of each day, n > 0; NaN = missing
    forecast : (n,) mean variance a day over the next `horizon_days`, made at each row; NaN = none. The last one may
        have been made later than its row, as an hourly score is
    step : gain of the adaptive level of FILTERED (`models.risk.var`) for each h days: of the h hits that overlap each
        moves it by an h-th
    """
    paths = _paths(method, ret, forecast, horizon_days, protocol, step)
    rows = backtest_rows(len(ret), horizon_days, protocol.spike_window)
    losses = -trailing_sum(ret, horizon_days)[rows + horizon_days]
    known = np.isfinite(losses) & np.isfinite([var[rows] for var, _ in paths]).all(axis=0)
    exceeded = [int((losses[known] > var[rows][known]).sum()) for var, _ in paths]
    (var95, es95), (var99, es99) = [(float(var[-1]), float(es[-1])) for var, es in paths]
    sample = int(np.isfinite(_residuals(method, ret, forecast, horizon_days)[-WINDOW:]).sum())
    return VarEstimate(method, horizon_days, var95, es95, var99, es99, sample, int(known.sum()), *exceeded)


def no_estimate(method: Method, horizon_days: int) -> VarEstimate:
    """What there is to say of a series without a single day."""
    none = math.nan
    return VarEstimate(method, horizon_days, none, none, none, none, 0, 0, 0, 0)


def backtest_rows(n: int, horizon_days: int, year: int) -> NDArray[np.int64]:
    """Rows of the last `year` whose outcome is known at the last of n rows, `horizon_days` apart, oldest first."""
    last = n - 1 - horizon_days
    return np.arange(last, max(last - year, -1), -horizon_days, dtype=np.int64)[::-1]


def student_t_paths(
    ret: FloatArray, forecast: FloatArray, horizon_days: int, refit_step: int, since: int = 0
) -> list[tuple[FloatArray, FloatArray]]:
    """VaR and ES (n,) for each of `LEVELS` at every row from `since` on, by a t law of the residuals known by its fit.

    The law is fitted to the last 1,000 of them at the first row that knows 300, and again every `refit_step` rows; NaN
    without one, or without a forecast.
    """
    z = _residuals(Method.STUDENT_T, ret, forecast, horizon_days)
    scale = np.sqrt(forecast * horizon_days)
    paths = [(np.full(len(ret), np.nan), np.full(len(ret), np.nan)) for _ in LEVELS]
    enough = np.flatnonzero(np.cumsum(np.isfinite(z)) >= MIN_RESIDUALS)
    for row in range(int(enough[0]), len(ret), refit_step) if len(enough) else ():
        if row + refit_step <= since:
            continue
        recent = z[max(0, row + 1 - WINDOW) : row + 1]
        law = fit_student_t(recent[np.isfinite(recent)])
        if law is not None:
            here = slice(row, row + refit_step)
            for (var, es), level in zip(paths, LEVELS, strict=True):
                value, shortfall = law.tail(level)
                var[here], es[here] = value * scale[here], shortfall * scale[here]
    return paths


def _paths(
    method: Method, ret: FloatArray, forecast: FloatArray, horizon_days: int, protocol: Protocol, step: float
) -> list[tuple[FloatArray, FloatArray]]:
    if method is Method.STUDENT_T:
        since = len(ret) - 1 - horizon_days - protocol.spike_window
        return student_t_paths(ret, forecast, horizon_days, protocol.refit_step, since)
    gain = step / horizon_days if method is Method.FILTERED else 0.0
    scale = _scale(method, forecast, horizon_days)
    return [tail_path(ret, scale, gain, level, horizon_days)[:2] for level in LEVELS]


def _scale(method: Method, forecast: FloatArray, horizon_days: int) -> FloatArray:
    """Historical simulation is filtered simulation with one forecast for all days: a variance of one over them."""
    return np.full(len(forecast), 1.0 / horizon_days) if method is Method.HISTORICAL else forecast


def _residuals(method: Method, ret: FloatArray, forecast: FloatArray, horizon_days: int) -> FloatArray:
    """(n,) return of the window that ends at each row, over the volatility that was forecast for it."""
    out = np.full(len(ret), np.nan)
    variance = _scale(method, forecast, horizon_days)[:-horizon_days] * horizon_days
    out[horizon_days:] = trailing_sum(ret, horizon_days)[horizon_days:] / np.sqrt(variance)
    return out
