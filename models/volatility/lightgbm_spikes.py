"""Pooled gradient boosting of the spike itself: P(V > threshold) straight from the inputs, without a law of errors.

The distance from the log-HAR-X forecast to the series' own threshold enters beside the design, so one pool serves
series whose usual levels differ. Its probability is mixed with that of the law (`outcomes.mixed`): the law knows how
wrong the forecast has been, the trees which days are unlike others.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.volatility.augmentation import Augmentation, augmented
from models.volatility.design import Design, build_design
from models.volatility.har_x import LogHarX
from models.volatility.lightgbm_forecaster import MAX_POOL_ROWS, Booster, boost, loaded, rounds_for
from models.volatility.outcomes import Outcomes, outcomes_of
from models.volatility.panel import Panel
from models.volatility.targets import training_stop

FloatArray = NDArray[np.float64]

MIN_SPIKES = 30  # in the pool: fewer teach the trees nothing that the law does not know
DISTANCE = "distance_to_threshold"


class SpikeClassifier:
    """Same calls as a forecaster, but `forecast` answers a probability: NaN before the pool holds 30 spikes."""

    refits_every: ClassVar[int] = 2  # a tenth of the rows are spikes: a few months add little to the trees

    def __init__(
        self, kind: SeriesKind, horizon_days: int, threads: int = 1, augmentation: Augmentation | None = None
    ) -> None:
        """`augmentation`: copies of training rows; only a trial adds any."""
        self.kind, self.horizon_days, self.threads, self.augmentation = kind, horizon_days, threads, augmentation
        self.base = LogHarX(kind, horizon_days)
        self._booster: Booster | None = None
        self._seen: tuple[Panel, Design, dict[str, Outcomes]] | None = None

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        """Learn from rows whose outcome, plus embargo, is known at `known_until`; managed rows do not count."""
        self.base.fit(panel, known_until)
        moments, inputs, labels = [], [], []
        _, outcomes = self._inputs(panel)
        for series, grid in panel.grids.items():
            stop = training_stop(grid.rows_until(known_until) - 1, self.horizon_days)
            rows, spike = self._rows(panel, series, 0, stop), outcomes[series].spike[:stop]
            usable = np.isfinite(spike) & np.isfinite(rows[:, -1]) & ~outcomes[series].managed[:stop]
            moments.append(grid.as_of[:stop][usable])
            inputs.append(rows[usable])
            labels.append(spike[usable])
        moment, label = np.concatenate(moments), np.concatenate(labels)
        newest = np.sort(np.argsort(moment, kind="stable")[-MAX_POOL_ROWS:])
        if label[newest].sum() < MIN_SPIKES:
            return
        names = (*self._inputs(panel)[0].names, DISTANCE)
        rows = np.concatenate(inputs)[newest]
        data = augmented(rows, label[newest], moment[newest], names, self.augmentation)
        self._booster = loaded(boost(*data, names, "binary", rounds_for(self.horizon_days), self.threads))

    def refresh(self, panel: Panel, known_until: np.datetime64) -> None:
        """Fit the base again, keep the trees."""
        self.base.fit(panel, known_until)

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        """(rows,) probability that the target exceeds the threshold known at the row."""
        rows = self._rows(panel, series, start, stop)
        out = np.full(len(rows), np.nan)
        usable = np.isfinite(rows[:, -1])
        if self._booster is not None and usable.any():
            out[usable] = self._booster.predict(rows[usable], num_threads=self.threads)
        return out

    def state(self) -> dict[str, Any]:
        text = self._booster.model_to_string() if self._booster is not None else ""
        return {"base": self.base.state(), "booster": text}

    def restore(self, state: dict[str, Any]) -> None:
        self.base.restore(state["base"])
        self._booster = loaded(state["booster"]) if state["booster"] else None

    def _rows(self, panel: Panel, series: str, start: int, stop: int | None) -> NDArray[np.float32]:
        design, outcomes = self._inputs(panel)
        forecast = self.base.forecast(panel, series, start, stop)
        distance = np.log(outcomes[series].threshold[start:stop] / forecast)
        return np.column_stack([design.rows[series][start:stop], distance.astype(np.float32)])

    def _inputs(self, panel: Panel) -> tuple[Design, dict[str, Outcomes]]:
        if self._seen is None or self._seen[0] is not panel:
            protocol = PROTOCOLS[self.kind]
            outcomes = {s: outcomes_of(g, self.kind, protocol, self.horizon_days) for s, g in panel.grids.items()}
            self._seen = (panel, build_design(panel), outcomes)
        return self._seen[1], self._seen[2]
