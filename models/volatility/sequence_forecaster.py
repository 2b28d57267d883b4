"""Pooled sequence networks: a month of daily rows makes one multiplicative correction of a series' own log-HAR-X.

Here belongs what the three members share: the inputs, which rows train and which judge, the terms of a forecast. The
networks themselves are in `models.volatility.sequence_networks`, their training in `sequence_training`. No series
identifier enters. An untrained network changes nothing, and one that does not improve on newer rows stays untrained.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS, RV_FLOOR
from models.contracts.score import Driver
from models.volatility.design import build_design
from models.volatility.forecaster import Forecaster, merged
from models.volatility.har_x import LogHarX
from models.volatility.panel import Panel
from models.volatility.sequence_networks import WINDOW, Weights, attribution, correction
from models.volatility.targets import forward_mean, training_stop

FloatArray = NDArray[np.float64]

# Columns of the design that compare across series: no level, nothing that only some sources have.
INPUTS = (
    "standard_level", "slope_short", "slope_long", "shock", "shock_size", "neg_share", "jump_share", "parkinson",
    "rv_6h", "rv_12h", "market_mean", "market_max", "market_week", "relative_level", "vol_of_vol", "drawdown", "rank",
)  # fmt: skip
INPUT_LIMIT = 6.0  # standard deviations
SEEDS = (20, 21, 22)  # networks whose corrections are averaged
MIN_POOL_ROWS = 800
MAX_POOL_ROWS = 24_000  # newest rows of the pool: beyond it a fit costs more than it gains
CHECK_SHARE = 0.15  # newest rows of the pool, which decide when training ends
RATIO_RANGE = (1e-3, 8.0)  # one row of 50 would outweigh its whole batch


class SequenceForecaster(Forecaster):
    """What `Gru`, `Lstm` and `Tcn` share; `name` is the cell."""

    refits_every: ClassVar[int] = 6

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.base = LogHarX(self.kind, self.horizon_days)
        _, week, month = self.protocol.har_lags
        self.inputs = (*INPUTS, f"momentum_{week}", f"momentum_{month}")
        self.centre: FloatArray = np.zeros(len(self.inputs))
        self.scale: FloatArray = np.ones(len(self.inputs))
        self.networks: tuple[Weights, ...] = ()
        self._seen: tuple[Panel, dict[str, NDArray[np.float32]], dict[str, FloatArray]] | None = None

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        from models.volatility.sequence_training import Sample, train

        self.refresh(panel, known_until)
        raw, ends, ratios, moments, known = self._pool(panel, known_until)
        if len(ends) < MIN_POOL_ROWS:
            return
        newest = np.sort(np.argsort(moments, kind="stable")[-MAX_POOL_ROWS:])
        ends, ratios, moments, known = ends[newest], ratios[newest], moments[newest], known[newest]
        self.centre, self.scale = _moments(raw[ends])
        days = self._standardised(raw).astype(np.float32)
        cut = np.sort(moments)[int((1 - CHECK_SHARE) * len(moments))]
        learn, check = known <= cut, moments >= cut  # the outcomes of the first were known when the second begins
        learned, judged = (Sample(days, ends[rows], ratios[rows].astype(np.float32)) for rows in (learn, check))

        def one(seed: int) -> Weights:
            return train(self.name, learned, judged, seed)

        with ThreadPoolExecutor(self.threads) as workers:
            self.networks = tuple(workers.map(one, SEEDS))

    def refresh(self, panel: Panel, known_until: np.datetime64) -> None:
        self.base.fit(panel, known_until)

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        base = self.base.forecast(panel, series, start, stop)
        if not self.networks or len(base) == 0:
            return np.full(len(base), np.nan)
        return np.asarray(np.maximum(base * np.exp(self._added(self._windows(panel, series, start, stop))), RV_FLOOR))

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        """Terms of the log-HAR-X base with the integrated gradients of the correction, by column over the window.

        The value beside a term is that of the newest day. What the network makes of the neutral window, and the
        rounding of the path, belong to the usual level.
        """
        if not self.networks:
            raise ValueError("the networks have not been trained: there is no forecast to take apart")
        window = self._windows(panel, series, row, row + 1)[0]
        parts = attribution(self._added, window)
        values = self._seen_last(panel)[0][series][row]
        usual, *linear = self.base.terms(panel, series, row)
        found = [Driver(name, float(x), float(c)) for name, x, c in zip(self.inputs, values, parts, strict=True)]
        drivers = merged([*linear, *found])
        total = math.log(float(self.forecast(panel, series, row, row + 1)[0]))
        rest = total - usual.contribution - sum(term.contribution for term in drivers)
        return (Driver(usual.name, usual.value, usual.contribution + rest), *drivers)

    def state(self) -> dict[str, Any]:
        return {
            "base": self.base.state(),
            "inputs": list(self.inputs),
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "networks": [{name: value.tolist() for name, value in weights.items()} for weights in self.networks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        if tuple(state["inputs"]) != self.inputs:
            raise ValueError(f"this {self.name} was trained on other inputs: train and register again")
        self.base.restore(state["base"])
        self.centre, self.scale = np.array(state["centre"]), np.array(state["scale"])
        self.networks = tuple(
            {name: np.array(value, dtype=np.float32) for name, value in weights.items()}
            for weights in state["networks"]
        )

    def _added(self, windows: FloatArray) -> FloatArray:
        """Mean correction of the networks, (n, T, k) -> (n,)."""
        return np.asarray(np.mean([correction(self.name, weights, windows) for weights in self.networks], axis=0))

    def _windows(self, panel: Panel, series: str, start: int, stop: int | None) -> FloatArray:
        """Standardised days up to each row, (n, T, k); days before the first row are neutral."""
        raw = self._seen_last(panel)[0][series]
        first = start - WINDOW + 1
        days = self._standardised(raw[max(0, first) : stop])
        padded = np.concatenate([np.zeros((max(0, -first), len(self.inputs))), days])
        return np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0).transpose(0, 2, 1)

    def _standardised(self, raw: NDArray[np.float32]) -> FloatArray:
        """Zero = mean of the training rows, which also stands in for what is missing."""
        return np.clip(np.nan_to_num((raw - self.centre) / self.scale), -INPUT_LIMIT, INPUT_LIMIT)

    def _pool(self, panel: Panel, known_until: np.datetime64) -> tuple[Any, ...]:
        """Days of all series (N, k), and of each row to learn from: its last day therein, ratio, moment, known at."""
        targets = self._seen_last(panel)[1]
        days, ends, ratios, moments, known, below = [], [], [], [], [], 0
        for series, grid in panel.grids.items():
            stop = training_stop(grid.rows_until(known_until) - 1, self.horizon_days)
            ratio = targets[series][:stop] / self.base.forecast(panel, series, 0, stop)
            usable = np.flatnonzero(np.isfinite(ratio))
            before = np.full((WINDOW - 1, len(self.inputs)), np.nan, dtype=np.float32)
            days += [before, self._seen_last(panel)[0][series][:stop]]
            below += WINDOW - 1
            ends.append(below + usable)
            ratios.append(np.clip(ratio[usable], *RATIO_RANGE))
            moments.append(grid.as_of[usable])
            known.append(grid.as_of[usable + self.horizon_days + EMBARGO_DAYS])
            below += stop
        return tuple(np.concatenate(parts) for parts in (days, ends, ratios, moments, known))

    def _seen_last(self, panel: Panel) -> tuple[dict[str, NDArray[np.float32]], dict[str, FloatArray]]:
        """Columns `inputs` of the design, and targets, by series: a walk-forward fits the same panel many times."""
        if self._seen is None or self._seen[0] is not panel:
            design = build_design(panel)
            chosen = [design.names.index(name) for name in self.inputs]
            columns = {series: rows[:, chosen] for series, rows in design.rows.items()}
            targets = {series: forward_mean(grid.rv, self.horizon_days) for series, grid in panel.grids.items()}
            self._seen = (panel, columns, targets)
        return self._seen[1], self._seen[2]


class Gru(SequenceForecaster):
    name: ClassVar[str] = "gru"


class Lstm(SequenceForecaster):
    name: ClassVar[str] = "lstm"


class Tcn(SequenceForecaster):
    name: ClassVar[str] = "tcn"


def _moments(rows: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (k,) of what is there; a column that never is, or never moves, stays as it is."""
    there = np.isfinite(rows)
    count = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, rows, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(there, rows - centre, 0.0) ** 2).sum(axis=0) / count)
    return centre, np.where(spread > 1e-6, spread, 1.0)
