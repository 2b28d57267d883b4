"""Closed days of a subject with the forecasts that were told of them: what the tail of its score rests on.

Forecasts of the past are those that were issued, and before them what the gate would have published: nothing is looked
at with hindsight. A score's own one-day tail is made of them here; the other methods and horizons are the asset
`risk.var`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.contracts.score import Score
from models.risk.methods import Method, VarEstimate, estimate
from models.volatility.outcomes import adaptive_step
from models.volatility.panel import Grid, build_panel, utc
from orchestration.drift.reads import told
from orchestration.panels import PANELS, training_rows
from orchestration.resources.workspace import Workspace


class Said(Protocol):
    """A score, as far as a tail rests on it. `rv_forecast`: variance a day, None or NaN = none."""

    @property
    def subject(self) -> str: ...
    @property
    def horizon_days(self) -> int: ...
    @property
    def as_of(self) -> datetime: ...
    @property
    def rv_forecast(self) -> float | None: ...


Asked = TypeVar("Asked", bound=Said)


@dataclass(frozen=True, eq=False)
class History:
    """`grid`: the days that had closed at the moment of a score, None without one; `forecast` (n,): variance a day told
    at each, that of the score in place of the last."""

    kind: SeriesKind
    grid: Grid | None
    forecast: NDArray[np.float64]

    def tail(self, method: Method, horizon_days: int) -> VarEstimate | None:
        """Value at risk after the last day; None without a day."""
        if self.grid is None:
            return None
        step = adaptive_step(self.kind)
        return estimate(method, self.grid.ret, self.forecast, horizon_days, PROTOCOLS[self.kind], step)


def histories(workspace: Workspace, asked: Sequence[Asked], now: datetime) -> Iterator[tuple[Asked, History]]:
    """One beside each score of a subject that is still scored, by kind and moment."""
    if not asked:
        return
    past = told(workspace.warehouse, sorted({each.subject for each in asked}), now)
    forecasts = dict(iter(past.groupby(["series", "horizon_days"])))
    for kind, of_kind in _by_kind(workspace, asked).items():
        rows = _rows(workspace, kind, {each.subject for each in of_kind})
        for as_of in sorted({each.as_of for each in of_kind}):
            at_once = [each for each in of_kind if each.as_of == as_of]
            grids = _grids(rows, kind, {each.subject for each in at_once}, as_of)
            for each in at_once:
                grid = grids.get(each.subject)
                yield each, _history(each, kind, grid, forecasts.get((each.subject, each.horizon_days), past[:0]))


def with_tails(
    workspace: Workspace, scores: Sequence[Score], now: datetime, warn: Callable[[str], None]
) -> list[Score]:
    """Scores with VaR99 and ES99 of one day by `filtered` of `risk.var`, None below 300 known residuals. A model has a
    tail of its own, but that stands still between two trainings and knows no forecast but the model's."""
    asked = [score for score in scores if score.horizon_days == 1 and score.rv_forecast is not None]
    try:
        tails = {score.subject: history.tail(Method.FILTERED, 1) for score, history in histories(workspace, asked, now)}
    except Exception as error:  # noqa: BLE001 - a score without its tail is better than none: a vault waits for it
        warn(f"no value at risk beside the scores: {type(error).__name__}: {error}")
        tails = {}
    return [
        replace(score, **_numbers(tails.get(score.subject))) if score.horizon_days == 1 else score for score in scores
    ]


def _numbers(tail: VarEstimate | None) -> dict[str, Any]:
    if tail is None or math.isnan(tail.var99):
        return {"var99": None, "es99": None}
    return {"var99": tail.var99, "es99": tail.es99}


def _by_kind(workspace: Workspace, asked: Sequence[Asked]) -> Mapping[SeriesKind, list[Asked]]:
    kinds = {spec.id: spec.kind for spec in workspace.series() if spec.scored}
    kinds |= {f"vault:{vault.id}": SeriesKind.VAULT for vault in workspace.vaults()}
    return {kind: own for kind in PANELS if (own := [each for each in asked if kinds.get(each.subject) is kind])}


def _rows(workspace: Workspace, kind: SeriesKind, subjects: set[str]) -> pd.DataFrame:
    scored = [s for s in workspace.series() if s.scored and (kind is SeriesKind.VAULT or s.id in subjects)]
    vaults = [vault for vault in workspace.vaults() if f"vault:{vault.id}" in subjects]
    return training_rows(workspace.warehouse, kind, scored, vaults)


def _grids(rows: pd.DataFrame, kind: SeriesKind, subjects: set[str], as_of: datetime) -> Mapping[str, Grid]:
    if rows.empty:
        return {}
    closed = rows[rows["series"].isin(subjects) & (rows["as_of"] <= pd.Timestamp(as_of))]
    return build_panel(closed, kind).grids


def _history(score: Said, kind: SeriesKind, grid: Grid | None, past: pd.DataFrame) -> History:
    if grid is None:
        return History(kind, None, np.full(0, np.nan))
    forecast = pd.Series(past["rv_forecast"].to_numpy(dtype=float), utc(past["as_of"])).reindex(grid.as_of)
    forecast.iloc[-1] = score.rv_forecast
    return History(kind, grid, forecast.to_numpy(dtype=float))
