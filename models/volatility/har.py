"""Heterogeneous autoregression of realised variance on its daily, weekly and monthly means (Corsi 2009).

Two members: ordinary least squares on levels, and on logarithms with a smearing factor (Duan 1983) that turns
the forecast of ln V into one of V without assuming a normal law. Both forecast the horizon directly.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.contracts.score import Driver
from models.volatility.forecaster import MIN_TRAINING_ROWS, USUAL_LEVEL, Forecaster
from models.volatility.panel import Grid, Panel
from models.volatility.targets import forward_mean, training_stop

FloatArray = NDArray[np.float64]

RESIDUAL_CLIP = 4.0  # e^4 = 55 times: one wick must not set the smearing factor
VARIANCE_SCALE = 1e4  # brings daily variances near 1, so that the normal equations are well conditioned


@dataclass(frozen=True, slots=True)
class HarParameters:
    """`intercept`, `slopes` and the training `means` of the three terms; `factor` is the smearing factor.

    `low`, `high`: range of the training targets, which bounds the level form. Scaled as the member regresses.
    """

    intercept: float
    slopes: tuple[float, ...]
    means: tuple[float, ...]
    factor: float
    low: float
    high: float


def least_squares(design: FloatArray, target: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Intercept, slopes and column means of an ordinary regression; centred normal equations.

    Parameters
    ----------
    design : (n, k) without NaN; target : (n,) without NaN
    """
    means = design.mean(axis=0)
    centred = design - means
    slopes = np.linalg.lstsq(centred.T @ centred, centred.T @ (target - target.mean()), rcond=None)[0]
    return float(target.mean() - means @ slopes), slopes, means


class _Har(Forecaster):
    logarithmic: ClassVar[bool]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parameters: dict[str, HarParameters] = {}
        self._targets: tuple[Grid, FloatArray] | None = None

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        for series, grid in panel.grids.items():
            stop = training_stop(grid.rows_until(known_until) - 1, self.horizon_days)
            design, target = self._scale(grid.har[:stop]), self._scale(self._target(grid)[:stop])
            usable = np.isfinite(target) & np.isfinite(design).all(axis=1)
            if usable.sum() < MIN_TRAINING_ROWS:
                continue
            design, target = design[usable], target[usable]
            intercept, slopes, means = least_squares(design, target)
            low, high, factor = float(target.min()), float(target.max()), 1.0
            if self.logarithmic:
                errors = target - intercept - design @ slopes
                factor = float(np.exp(np.clip(errors, -RESIDUAL_CLIP, RESIDUAL_CLIP)).mean())
            self.parameters[series] = HarParameters(intercept, tuple(slopes), tuple(means), factor, low, high)

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        design = panel.grids[series].har[start:stop]
        fitted = self.parameters.get(series)
        if fitted is None:
            return np.full(len(design), np.nan)
        linear = fitted.intercept + self._scale(design) @ np.array(fitted.slopes)
        if self.logarithmic:
            return np.asarray(np.maximum(np.exp(linear) * fitted.factor, RV_FLOOR))
        return np.asarray(np.maximum(np.clip(linear, fitted.low, fitted.high) / VARIANCE_SCALE, RV_FLOOR))

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        """One term per lag, measured from the training mean, and `usual_level` for that mean itself.

        The level form is not additive in logarithms: its terms share the log distance from the usual level in
        proportion to their parts of the level.
        """
        fitted = self.parameters[series]
        levels = panel.grids[series].har[row]
        parts = np.array(fitted.slopes) * (self._scale(levels) - np.array(fitted.means))
        usual = fitted.intercept + float(np.array(fitted.slopes) @ np.array(fitted.means))
        total = math.log(float(self.forecast(panel, series, row, row + 1)[0]))
        if self.logarithmic:
            base = usual + math.log(fitted.factor)
        else:
            base = math.log(usual / VARIANCE_SCALE)
            distance = parts.sum()
            parts = parts * (total - base) / distance if abs(distance) > 1e-12 * usual else np.zeros_like(parts)
        names = [f"rv_{lag}d" for lag in self.protocol.har_lags]
        drivers = [Driver(name, float(x), float(c)) for name, x, c in zip(names, levels, parts, strict=True)]
        rest = total - base - float(parts.sum())  # rounding, or the floor
        return (Driver(USUAL_LEVEL, math.exp(base), base + rest), *drivers)

    def state(self) -> dict[str, Any]:
        return {series: asdict(fitted) for series, fitted in self.parameters.items()}

    def restore(self, state: dict[str, Any]) -> None:
        for series, values in state.items():
            slopes, means = tuple(values["slopes"]), tuple(values["means"])
            self.parameters[series] = HarParameters(**{**values, "slopes": slopes, "means": means})

    def _scale(self, variance: FloatArray) -> FloatArray:
        return np.log(np.maximum(variance, RV_FLOOR)) if self.logarithmic else variance * VARIANCE_SCALE

    def _target(self, grid: Grid) -> FloatArray:
        if self._targets is None or self._targets[0] is not grid:
            self._targets = (grid, forward_mean(grid.rv, self.horizon_days))
        return self._targets[1]


class Har(_Har):
    """On levels; clipped to the range of the training targets, since a linear forecast can leave it."""

    name: ClassVar[str] = "har"
    logarithmic: ClassVar[bool] = False


class LogHar(_Har):
    """On logarithms: the baseline to beat."""

    name: ClassVar[str] = "log_har"
    logarithmic: ClassVar[bool] = True
