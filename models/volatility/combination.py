"""Combination: a logarithmic pool of the other members, each weighted by how surely it has been better lately.

Pooling logarithms keeps a forecast positive and its explanation exact: the terms of the pool are the weighted terms of
its parts. Weights come from losses whose outcome is known and from nothing else. A member's advantage counts in units
of its own standard error, as in the test of Diebold & Mariano (1995): the same rule is sharp where losses tell members
apart (coins) and stays near equal weights, which are hard to beat (Timmermann 2006), where they are noise (rates).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS, RV_FLOOR
from models.contracts.market import SeriesKind
from models.contracts.score import Driver
from models.volatility.forecaster import USUAL_LEVEL, Forecaster, merged
from models.volatility.outcomes import managed
from models.volatility.panel import Panel
from models.volatility.targets import forward_mean

FloatArray = NDArray[np.float64]
Paths = Mapping[str, Mapping[str, FloatArray]]

SHARPNESS = 0.5  # per standard error: one error apart is a weight of e^-0.5 = 0.6
LOSS_CAP = 30.0  # three times that of the comparison: who under-forecasts the worst days must pay for it here
MIN_LOSSES = 60
RATIO_CAP = 5.0
SCALE_PRIOR = 1000.0  # outcomes worth: pooled logarithms forecast too low, by a few per cent at most
ALL = "*"  # name of the weights of a series without losses of its own


@dataclass(frozen=True)
class Pooling:
    """What every row of every series may use: `weights[series]` (n, members), `scale[series]` (n,)."""

    weights: Mapping[str, FloatArray]
    scale: Mapping[str, FloatArray]


def pooling(panel: Panel, paths: Paths, horizon_days: int) -> Pooling:
    """Weights and scale at every row, from the losses known at it.

    Parameters
    ----------
    paths : member -> series -> (n,) out-of-sample forecasts, variance a day; NaN = none

    Returns
    -------
    Weights are equal until the panel has 60 dates with known losses, and sum to one. Half of the evidence is the
    series' own of the last year of its calendar, half the panel's date means over as many dates. Managed rows say
    nothing of the panel, but of their own series: who forecasts a peg badly must not speak for it.
    """
    lag, window = horizon_days + EMBARGO_DAYS, panel.protocol.spike_window
    known = {s: _relative_losses(panel, paths, s, horizon_days).shift(lag) for s in panel.grids}
    moving = [
        losses[~pd.Series(managed(panel.grids[s], panel.kind), losses.index).shift(lag, fill_value=True)].reindex(
            losses.index
        )
        for s, losses in known.items()
    ]
    everyone = _advantage(pd.concat(moving).groupby(level=0).mean().sort_index(), window)
    weights = {}
    for series, losses in known.items():
        shared = everyone.reindex(losses.index, method="ffill")
        evidence = (shared + _advantage(losses, window).fillna(shared)) / 2.0
        weights[series] = _softmax(-SHARPNESS * evidence.fillna(0.0).to_numpy())
    return Pooling(weights, _scales(panel, paths, weights, horizon_days))


def combined_paths(panel: Panel, paths: Paths, horizon_days: int) -> dict[str, FloatArray]:
    """(n,) pooled forecasts by series; NaN where no member has one."""
    found = pooling(panel, paths, horizon_days)
    return {series: _pool(_logs(paths, series), found.weights[series], found.scale[series]) for series in panel.grids}


class Combination(Forecaster):
    """The pool as one forecaster: its parts are fitted like any member, its weights come from their record."""

    name: ClassVar[str] = "combination"

    def __init__(self, kind: SeriesKind, horizon_days: int, threads: int, parts: Mapping[str, Forecaster]) -> None:
        super().__init__(kind, horizon_days, threads)
        self.parts = dict(parts)
        self.weights: dict[str, tuple[float, ...]] = {ALL: (1.0 / len(self.parts),) * len(self.parts)}
        self.scale = 1.0

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        for part in self.parts.values():
            part.fit(panel, known_until)

    def learn(self, panel: Panel, paths: Paths) -> None:
        """Take the weights in force after the last row of each series from the parts' out-of-sample `paths`."""
        found = pooling(panel, {name: paths[name] for name in self.parts}, self.horizon_days)
        self.weights |= {series: tuple(weights[-1].tolist()) for series, weights in found.weights.items()}
        latest = max(panel.grids, key=lambda series: panel.grids[series].as_of[-1])
        self.scale = float(found.scale[latest][-1])

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        logs = np.log(np.column_stack([part.forecast(panel, series, start, stop) for part in self.parts.values()]))
        return _pool(logs, self._weights(series)[None, :], np.full(len(logs), self.scale))

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        """Weighted terms of the parts. A part without a usual level is measured from that of the others."""
        logs = np.array([math.log(part.forecast(panel, series, row, row + 1)[0]) for part in self.parts.values()])
        weights = _present(logs[None, :], self._weights(series)[None, :])[0]
        each = {
            name: (float(weight), part.terms(panel, series, row))
            for (name, part), weight in zip(self.parts.items(), weights, strict=True)
            if weight > 0
        }
        usual = [term.contribution for _, terms in each.values() for term in terms if term.name == USUAL_LEVEL]
        level = float(np.mean(usual)) if usual else 0.0
        drivers = [
            Driver(term.name, term.value, weight * (term.contribution - (0.0 if _has_level(terms) else level)))
            for weight, terms in each.values()
            for term in terms
            if term.name != USUAL_LEVEL
        ]
        total = math.log(float(self.forecast(panel, series, row, row + 1)[0]))
        rest = total - math.fsum(driver.contribution for driver in drivers)
        return (Driver(USUAL_LEVEL, math.exp(level), rest), *merged(drivers))

    def state(self) -> dict[str, Any]:
        return {
            "parts": {name: part.state() for name, part in self.parts.items()},
            "weights": {series: list(weights) for series, weights in self.weights.items()},
            "scale": self.scale,
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.restore(state["parts"][name])
        self.weights = {series: tuple(weights) for series, weights in state["weights"].items()}
        self.scale = state["scale"]

    def _weights(self, series: str) -> FloatArray:
        return np.array(self.weights.get(series, self.weights[ALL]))


def _has_level(terms: tuple[Driver, ...]) -> bool:
    return any(term.name == USUAL_LEVEL for term in terms)


def _relative_losses(panel: Panel, paths: Paths, series: str, horizon_days: int) -> pd.DataFrame:
    """QLIKE of each member less the mean of all, by as_of; NaN where one is missing."""
    grid = panel.grids[series]
    target = forward_mean(grid.rv, horizon_days)
    ratio = target[:, None] / np.column_stack([path[series] for path in paths.values()])
    loss = np.minimum(ratio - np.log(ratio) - 1.0, LOSS_CAP)
    return pd.DataFrame(loss - loss.mean(axis=1, keepdims=True), pd.DatetimeIndex(grid.as_of), list(paths))


def _advantage(losses: pd.DataFrame, window: int) -> pd.DataFrame:
    """Mean relative loss of the last `window` rows in standard errors; NaN under 60 losses."""
    recent = losses.rolling(window, min_periods=MIN_LOSSES)
    spread = recent.std().clip(lower=1e-9)
    return recent.mean() / spread * np.sqrt(recent.count())


def _scales(panel: Panel, paths: Paths, weights: Mapping[str, FloatArray], horizon_days: int) -> dict[str, FloatArray]:
    """The factor that minimises QLIKE is the mean of V / F: that of all outcomes known, pulled towards 1."""
    lag, found = horizon_days + EMBARGO_DAYS, []
    for series, grid in panel.grids.items():
        forecast = _pool(_logs(paths, series), weights[series], np.ones(len(grid)))
        ratio = np.minimum(forward_mean(grid.rv, horizon_days) / forecast, RATIO_CAP)
        ratio[managed(grid, panel.kind)] = np.nan
        found.append(pd.Series(ratio, pd.DatetimeIndex(grid.as_of)).shift(lag))
    by_date = pd.concat(found).groupby(level=0).agg(["sum", "count"]).sort_index().cumsum()
    scale = (by_date["sum"] + SCALE_PRIOR) / (by_date["count"] + SCALE_PRIOR)
    return {s: scale.reindex(pd.DatetimeIndex(grid.as_of)).to_numpy() for s, grid in panel.grids.items()}


def _logs(paths: Paths, series: str) -> FloatArray:
    return np.log(np.column_stack([path[series] for path in paths.values()]))


def _present(logs: FloatArray, weights: FloatArray) -> FloatArray:
    """Weights of the members that have a forecast, summing to one; NaN rows where none has."""
    there = np.where(np.isfinite(logs), weights, 0.0)
    total = there.sum(axis=1, keepdims=True)
    return np.asarray(there / np.where(total > 0, total, np.nan))


def _pool(logs: FloatArray, weights: FloatArray, scale: FloatArray) -> FloatArray:
    """(n, m) logarithms, (n, m) or (1, m) weights, (n,) scale -> (n,)."""
    pooled = np.exp((np.nan_to_num(logs) * _present(logs, weights)).sum(axis=1))
    return np.asarray(np.maximum(pooled * scale, RV_FLOOR))


def _softmax(values: FloatArray) -> FloatArray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
