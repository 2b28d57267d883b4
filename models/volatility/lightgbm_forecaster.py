"""Pooled gradient boosting: trees learn one multiplicative correction of every series' own log-HAR-X forecast.

The objective is the gamma deviance of V / log-HAR-X, which is twice QLIKE (Patton 2011). No series identifier enters:
a new series is served by what the pool knows. The only file that imports lightgbm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.contracts.market import SeriesKind
from models.contracts.score import Driver
from models.volatility.augmentation import Augmentation, augmented
from models.volatility.design import Design, build_design
from models.volatility.forecaster import Forecaster, merged
from models.volatility.har_x import LogHarX
from models.volatility.panel import Panel
from models.volatility.targets import forward_mean, training_stop

FloatArray = NDArray[np.float64]
Booster = lgb.Booster

PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.06,  # half of it with twice the rounds is not significantly better
    "num_leaves": 7,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 127,
    "seed": 20,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}
ROUNDS_ONE_DAY = 125
ROUNDS_LONGER = 50  # targets of longer horizons overlap: fewer independent rows
MIN_POOL_ROWS = 800
MAX_POOL_ROWS = 40_000  # newest rows of the pool: beyond it a fit costs more than it gains
RATIO_RANGE = (1e-3, 50.0)


def rounds_for(horizon_days: int) -> int:
    return ROUNDS_ONE_DAY if horizon_days == 1 else ROUNDS_LONGER


def boost(
    rows: NDArray[np.float32],
    target: FloatArray,
    names: Sequence[str],
    objective: str,
    rounds: int,
    threads: int,
    changed: Mapping[str, float] = MappingProxyType({}),
) -> str:
    """Trees of (n, k) inputs named `names` for (n,) targets, as text: what forecasts is what would be loaded, since
    the text form decides about the last bit."""
    data = lgb.Dataset(rows, target, feature_name=list(names), free_raw_data=True)
    booster = lgb.train({**PARAMETERS, **changed, "objective": objective, "num_threads": threads}, data, rounds)
    return str(booster.model_to_string())


def loaded(text: str) -> Booster:
    return Booster(model_str=text)


class LightGbm(Forecaster):
    name: ClassVar[str] = "lightgbm"

    def __init__(
        self,
        kind: SeriesKind,
        horizon_days: int,
        threads: int = 1,
        changed: Mapping[str, float] = MappingProxyType({}),
        augmentation: Augmentation | None = None,
    ) -> None:
        """`changed`: hyper-parameters instead of `PARAMETERS`, and `rounds`; only a search changes any.
        `augmentation`: copies of training rows; only a trial adds any."""
        super().__init__(kind, horizon_days, threads)
        self.changed = dict(changed)
        self.rounds = int(self.changed.pop("rounds", rounds_for(horizon_days)))
        self.augmentation = augmentation
        self.base = LogHarX(self.kind, self.horizon_days)
        self.booster: Booster | None = None
        self.names: tuple[str, ...] = ()
        self._design: tuple[Panel, Design, dict[str, FloatArray]] | None = None

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        design, targets = self._inputs(panel)
        self.base.fit(panel, known_until)
        moments, inputs, ratios = [], [], []
        for series, grid in panel.grids.items():
            stop = training_stop(grid.rows_until(known_until) - 1, self.horizon_days)
            ratio = targets[series][:stop] / self.base.forecast(panel, series, 0, stop)
            usable = np.isfinite(ratio)
            moments.append(grid.as_of[:stop][usable])
            inputs.append(design.rows[series][:stop][usable])
            ratios.append(ratio[usable])
        moment = np.concatenate(moments)
        if len(moment) < MIN_POOL_ROWS:
            return
        newest = np.sort(np.argsort(moment, kind="stable")[-MAX_POOL_ROWS:])
        ratio = np.clip(np.concatenate(ratios)[newest], *RATIO_RANGE)
        rows = np.concatenate(inputs)[newest]
        rows, ratio = augmented(rows, ratio, moment[newest], design.names, self.augmentation)
        self.booster = loaded(boost(rows, ratio, design.names, "gamma", self.rounds, self.threads, self.changed))
        self.names = design.names

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        base = self.base.forecast(panel, series, start, stop)
        if self.booster is None or len(base) == 0:
            return np.full(len(base), np.nan)
        rows = self._inputs(panel)[0].rows[series][start:stop]
        return np.asarray(np.maximum(base * self.booster.predict(rows, num_threads=self.threads), RV_FLOOR))

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        """Terms of the log-HAR-X base with the path-dependent tree attributions (Lundberg 2020) of the correction."""
        if self.booster is None:
            raise ValueError("the booster has not been fitted: there is no forecast to take apart")
        rows = self._inputs(panel)[0].rows[series][row : row + 1]
        parts = np.asarray(self.booster.predict(rows, pred_contrib=True, num_threads=self.threads))[0]
        usual, *linear = self.base.terms(panel, series, row)
        total = float(np.log(self.forecast(panel, series, row, row + 1)[0]))
        trees = [Driver(name, float(x), float(c)) for name, x, c in zip(self.names, rows[0], parts[:-1], strict=True)]
        drivers = merged([*linear, *trees])
        rest = total - usual.contribution - sum(term.contribution for term in drivers)
        return (Driver(usual.name, usual.value, usual.contribution + rest), *drivers)

    def state(self) -> dict[str, Any]:
        text = self.booster.model_to_string() if self.booster is not None else ""
        return {"base": self.base.state(), "names": list(self.names), "booster": text}

    def restore(self, state: dict[str, Any]) -> None:
        self.base.restore(state["base"])
        self.names = tuple(state["names"])
        self.booster = loaded(state["booster"]) if state["booster"] else None

    def _inputs(self, panel: Panel) -> tuple[Design, dict[str, FloatArray]]:
        """Design and targets of the panel seen last: a walk-forward fits the same panel many times."""
        if self._design is None or self._design[0] is not panel:
            targets = {name: forward_mean(grid.rv, self.horizon_days) for name, grid in panel.grids.items()}
            self._design = (panel, build_design(panel), targets)
        return self._design[1], self._design[2]
