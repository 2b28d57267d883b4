"""log-HAR-X: the logarithmic HAR with what else is known at the origin, its slopes shrunk towards the panel's.

Beside the three lags (Corsi 2009) enter the sign and size of the day's shock, how the day's variance was spread over
its hours, the quarter's level, the state of the whole panel, and the weekday that is forecast. A series' slopes have a
Gaussian prior around the slopes that all series share, worth `PRIOR_ROWS` rows (Lindley & Smith 1972): a short history
borrows from the others, a long one speaks for itself.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.contracts.score import Driver
from models.volatility.design import Design, build_design
from models.volatility.forecaster import MIN_TRAINING_ROWS, USUAL_LEVEL, Forecaster
from models.volatility.har import RESIDUAL_CLIP
from models.volatility.panel import Grid, Panel
from models.volatility.targets import forward_mean, training_stop

FloatArray = NDArray[np.float64]

PRIOR_ROWS = 1000.0
RIDGE = 1e-6  # of the mean diagonal: a column that never moves in a panel gets the slope zero, not a singular matrix
QUIET_RANGE = 2.0  # a day at a seventh of its month's variance or less: prints that stood still, not a calm to trust
LATE_RANGE = 3.0  # an hour without trades makes a late variance of zero: its logarithm must not lead
# Column of the design: value where the source has none, and the range that is believed. One list for every kind.
COLUMNS: dict[str, tuple[float, float, float]] = {
    "shock_size": (0.0, 0.0, math.inf),
    "market_mean": (0.0, -math.inf, math.inf),
    "market_week": (0.0, -math.inf, math.inf),
    "neg_share": (0.5, 0.0, 1.0),
    "jump_share": (0.3, 0.0, 1.0),
    "rv_6h": (math.log(6 / 24), math.log(6 / 24) - LATE_RANGE, 0.0),
    "rv_12h": (math.log(12 / 24), math.log(12 / 24) - LATE_RANGE, 0.0),
}
WEEKDAYS = {1: "monday", 5: "friday", 6: "saturday", 7: "sunday"}  # of the target; the others are much alike
LONGEST_WITH_WEEKDAY = 2  # days of horizon: a window of a week has every weekday in it


@dataclass(frozen=True, slots=True)
class Moments:
    """Training rows of one series, centred: cross products (k, k), with the target (k,), and the means."""

    rows: int
    products: FloatArray
    responses: FloatArray
    means: FloatArray
    level: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """`usual`: log forecast at the training means, smearing included. `slopes`, `means` (k,), as `names`."""

    usual: float
    slopes: tuple[float, ...]
    means: tuple[float, ...]


class LogHarX(Forecaster):
    name: ClassVar[str] = "log_har_x"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parameters: dict[str, Parameters] = {}
        self._inputs_of: tuple[Panel, dict[str, FloatArray], dict[str, FloatArray]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        lags = tuple(f"rv_{lag}d" for lag in self.protocol.har_lags)
        weekdays = tuple(WEEKDAYS.values()) if self.horizon_days <= LONGEST_WITH_WEEKDAY else ()
        return (*lags, "rv_quarter", "fall", *COLUMNS, *weekdays)

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        found: dict[str, tuple[Moments, FloatArray, FloatArray]] = {}
        for series, grid in panel.grids.items():
            stop = training_stop(grid.rows_until(known_until) - 1, self.horizon_days)
            inputs, target = (values[series][:stop] for values in self._inputs(panel))
            usable = np.isfinite(target) & np.isfinite(inputs).all(axis=1)
            if usable.sum() >= MIN_TRAINING_ROWS:
                found[series] = (_moments(inputs[usable], target[usable]), inputs[usable], target[usable])
        if not found:
            return
        rows = sum(moments.rows for moments, _, _ in found.values())
        products = np.sum([moments.products for moments, _, _ in found.values()], axis=0)
        responses = np.sum([moments.responses for moments, _, _ in found.values()], axis=0)
        ridge = RIDGE * np.trace(products) / len(products) * np.eye(len(products))
        shared = np.linalg.solve(products + ridge, responses)
        prior = (products + ridge) / rows * PRIOR_ROWS
        for series, (own, inputs, target) in found.items():
            slopes = np.linalg.solve(own.products + prior, own.responses + prior @ shared)
            errors = target - own.level - (inputs - own.means) @ slopes
            smearing = math.log(np.exp(np.clip(errors, -RESIDUAL_CLIP, RESIDUAL_CLIP)).mean())
            self.parameters[series] = Parameters(own.level + smearing, tuple(slopes), tuple(own.means))

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        inputs = self._inputs(panel)[0][series][start:stop]
        fitted = self.parameters.get(series)
        if fitted is None:
            return np.full(len(inputs), np.nan)
        linear = fitted.usual + (inputs - np.array(fitted.means)) @ np.array(fitted.slopes)
        return np.asarray(np.maximum(np.exp(linear), RV_FLOOR))

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        """Exact: slope times distance from the training mean, and `usual_level` for the mean itself."""
        fitted = self.parameters[series]
        values = self._inputs(panel)[0][series][row]
        parts = np.array(fitted.slopes) * (values - np.array(fitted.means))
        total = math.log(float(self.forecast(panel, series, row, row + 1)[0]))
        drivers = [Driver(name, float(x), float(c)) for name, x, c in zip(self.names, values, parts, strict=True)]
        rest = total - float(parts.sum())  # the usual level, and the floor or rounding
        return (Driver(USUAL_LEVEL, math.exp(fitted.usual), rest), *drivers)

    def state(self) -> dict[str, Any]:
        return {series: asdict(fitted) for series, fitted in self.parameters.items()}

    def restore(self, state: dict[str, Any]) -> None:
        for series, values in state.items():
            slopes, means = tuple(values["slopes"]), tuple(values["means"])
            self.parameters[series] = Parameters(values["usual"], slopes, means)

    def _inputs(self, panel: Panel) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Regressors (n, k) and log targets (n,) by series of the panel seen last."""
        if self._inputs_of is None or self._inputs_of[0] is not panel:
            design = build_design(panel)
            inputs = {series: self._regressors(grid, design, series) for series, grid in panel.grids.items()}
            targets = {s: np.log(forward_mean(grid.rv, self.horizon_days)) for s, grid in panel.grids.items()}
            self._inputs_of = (panel, inputs, targets)
        return self._inputs_of[1:]

    def _regressors(self, grid: Grid, design: Design, series: str) -> FloatArray:
        rows = dict(zip(design.names, design.rows[series].T.astype(float), strict=True))
        month, quarter = self.protocol.har_lags[2], rows[f"log_mean_{3 * self.protocol.har_lags[2]}"]
        lags = np.log(np.maximum(grid.har, RV_FLOOR))
        lags[:, 0] = np.maximum(lags[:, 0], lags[:, 2] - QUIET_RANGE)
        shock = np.nan_to_num(rows["shock"])
        columns = [*lags.T, np.where(np.isfinite(quarter), quarter, rows[f"log_mean_{month}"]), np.minimum(shock, 0.0)]
        for name, (missing, low, high) in COLUMNS.items():
            columns.append(np.clip(np.where(np.isfinite(rows[name]), rows[name], missing), low, high))
        if self.horizon_days <= LONGEST_WITH_WEEKDAY:
            columns += [(rows["weekday"] == day).astype(float) for day in WEEKDAYS]
        return np.column_stack(columns)


def _moments(inputs: FloatArray, target: FloatArray) -> Moments:
    means, level = inputs.mean(axis=0), float(target.mean())
    centred = inputs - means
    return Moments(len(target), centred.T @ centred, centred.T @ (target - level), means, level)
