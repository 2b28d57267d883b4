"""The interface of every volatility forecaster: fit on what is known, forecast a mean variance a day.

Here belongs only what all members share. A member is made for one kind of series and one horizon; it keeps one set of
parameters per series (or one for the pool) and never looks past `known_until` when fitting, nor past row t when
forecasting from row t.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.contracts.score import Driver
from models.volatility.panel import Panel

FloatArray = NDArray[np.float64]

USUAL_LEVEL = "usual_level"  # name of the term that stands for the series at its long-run mean
MIN_TRAINING_ROWS = 200  # below this a regression on overlapping log variances is noise


class Forecaster(ABC):
    """Mean variance a day over the next `horizon_days`, for every row of a series' grid."""

    name: ClassVar[str]
    refits_every: ClassVar[int] = 1  # of how many refit dates of the pool one is a full fit; the others `refresh`

    def __init__(self, kind: SeriesKind, horizon_days: int, threads: int = 1) -> None:
        self.kind = kind
        self.horizon_days = horizon_days
        self.threads = threads
        self.protocol = PROTOCOLS[kind]

    @abstractmethod
    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        """Estimate parameters for each series of `panel` from rows whose outcome is known at `known_until`.

        A series with too few rows keeps the parameters it had, or none.
        """

    def refresh(self, panel: Panel, known_until: np.datetime64) -> None:
        """Estimate again what is cheap, keep what the last `fit` learned; by default all of it is cheap."""
        self.fit(panel, known_until)

    @abstractmethod
    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        """Forecasts for rows [start, stop) of one series, variance a day, > 0; NaN where none can be made."""

    @abstractmethod
    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        """Additive terms of one forecast: their contributions sum to the logarithm of the forecast."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Fitted parameters as plain JSON values."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""


def merged(terms: Iterable[Driver]) -> list[Driver]:
    """One term a name: what several parts of a model make of the same input belongs together."""
    found: dict[str, Driver] = {}
    for term in terms:
        before = found.get(term.name)
        found[term.name] = Driver(term.name, term.value, term.contribution + (before.contribution if before else 0.0))
    return list(found.values())
