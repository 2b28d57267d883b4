"""RiskMetrics: exponentially weighted mean of realised variance, decay 0.94, the same forecast for every horizon."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contracts.score import Driver
from models.volatility.forecaster import Forecaster
from models.volatility.panel import Panel

FloatArray = NDArray[np.float64]

EWMA_DECAY = 0.94


@njit(cache=True, nogil=True)
def ewma(values: FloatArray, decay: float) -> FloatArray:
    """s_t = decay s_{t-1} + (1 - decay) x_t, started at the first value; a missing x_t leaves s where it was.

    Parameters
    ----------
    values : (n,), NaN = missing

    Returns
    -------
    (n,), NaN before the first value.
    """
    out = np.full(len(values), np.nan)
    state = np.nan
    for t in range(len(values)):
        if not np.isnan(values[t]):
            state = values[t] if np.isnan(state) else decay * state + (1.0 - decay) * values[t]
        out[t] = state
    return out


class Ewma(Forecaster):
    """No parameters to fit: the decay is the convention of the trade."""

    name: ClassVar[str] = "ewma"

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        """Nothing to estimate."""

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        path: FloatArray = ewma(panel.grids[series].rv, EWMA_DECAY)
        return path[start:stop]

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        value = float(self.forecast(panel, series, row, row + 1)[0])
        return (Driver("ewma_rv", value, math.log(value)),)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take over."""
