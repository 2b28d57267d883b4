"""The daily grids once a market day: features, issued probabilities, calibration and losses of the served forecasts.

Windows of four weeks and more do not change by the hour, and outcomes come a day late at best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import Dataset, SeriesKind
from models.drift.alarms import Alarm, DriftKind, NotEnoughHistory
from models.drift.distributions import STEP_ROWS, DistributionWatch, watch_distributions
from models.drift.outcomes import CALIBRATION_ROWS, Judged, calibration_drift, known_outcomes, performance_drift
from models.drift.thresholds import DAYS_A_QUARTER
from models.stress.streams import stream
from models.volatility.ewma import EWMA_DECAY, ewma
from models.volatility.outcomes import outcomes_of
from models.volatility.panel import Grid, build_panel
from orchestration.drift.reads import told
from orchestration.quality.marks import read_mark, write_mark
from orchestration.resources import features
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.workspace import Workspace

PER_QUARTER = 1.0
_KINDS = (SeriesKind.CANDLES, SeriesKind.RANGES, SeriesKind.FIXINGS)
_FEATURES = (
    "ret",
    "neg_share",
    "jump_share",
    "parkinson",
    "ema_ratio",
    "vwap_gap",
    "volume_z",
    "premium",
    "funding_rate",
)
_HISTORY_ROWS = 2000  # of a grid: five years say what is usual, and older ones what was
_OUTCOME_ROWS = 400
_LOOK_BACK = pd.Timedelta(days=14)
_TASK = "drift_daily"


def is_due(warehouse: Warehouse, now: datetime) -> bool:
    """Whether this market day was not looked at yet."""
    return _day(now) > read_mark(warehouse, _TASK, Dataset.CANDLES)


def mark_done(warehouse: Warehouse, now: datetime) -> None:
    """To be called after the alarms are stored: a killed run looks again rather than not at all."""
    write_mark(warehouse, _TASK, Dataset.CANDLES, _day(now))


def watch_days(workspace: Workspace, now: datetime) -> list[Alarm]:
    """Alarms of the last two weeks of daily rows; features only every seventh day, as their windows move."""
    specs = [spec for spec in workspace.series() if spec.scored]
    forecasts = told(workspace.warehouse, [spec.id for spec in specs], now)
    asked: list[Callable[[], list[Alarm]]] = []
    size = 0
    for kind in _KINDS:
        ids = sorted({spec.id for spec in specs if spec.kind is kind})
        rows = features.origins(workspace.warehouse, kind, ids) if ids else pd.DataFrame()
        if rows.empty:
            continue
        panel = build_panel(rows[rows["as_of"] <= now], kind)
        size += len(rows)
        for name, grid in panel.grids.items():
            rng = stream(workspace.settings.seed, f"drift/daily/{name}", 0)
            asked.append(partial(_of_series, grid, kind, forecasts[forecasts["series"] == name], now, rng))
    found = [alarm for alarms in workspace.runner(size)(asked) for alarm in alarms]
    return [alarm for alarm in found if now - _LOOK_BACK < alarm.detected_at <= now]


def _of_series(
    grid: Grid, kind: SeriesKind, forecasts: pd.DataFrame, now: datetime, rng: np.random.Generator
) -> list[Alarm]:
    daily = PROTOCOLS[kind].periods_a_year / 365
    found = _said(partial(_of_features, grid.series, grid, daily, rng))
    for horizon in PROTOCOLS[kind].horizons:
        asked = forecasts[forecasts["horizon_days"] == horizon]
        found += _of_forecasts(grid.series, kind, grid, horizon, asked, daily, now, rng)
    return found


def _said(judge: Callable[[], list[Alarm]]) -> list[Alarm]:
    """What a detector says; nothing while its history is too short."""
    try:
        return judge()
    except NotEnoughHistory:
        return []


def _of_features(name: str, grid: Grid, daily: float, rng: np.random.Generator) -> list[Alarm]:
    columns = {feature: grid.columns[feature] for feature in _FEATURES if feature in grid.columns}
    frame = pd.DataFrame({"log_rv": np.log(grid.rv), **columns, "ret": grid.ret})
    # Weeks end on the same day of the grid at every look, or each look would move the windows and find others.
    usable = frame.iloc[: len(frame) - len(frame) % STEP_ROWS].tail(_HISTORY_ROWS - _HISTORY_ROWS % STEP_ROWS)
    times = pd.DatetimeIndex(grid.as_of).tz_localize("UTC")[usable.index]
    watch = watch_distributions(usable, ["log_rv", *_FEATURES], PER_QUARTER, rng, daily=daily)
    return _distribution_alarms(name, DriftKind.DATA, watch, times)


def _of_forecasts(
    name: str, kind: SeriesKind, grid: Grid, horizon: int, asked: pd.DataFrame, daily: float, now: datetime,
    rng: np.random.Generator,
) -> list[Alarm]:  # fmt: skip
    outcomes = outcomes_of(grid, kind, PROTOCOLS[kind], horizon)
    table = pd.DataFrame(
        {"as_of": pd.DatetimeIndex(grid.as_of).tz_localize("UTC"), "realised": outcomes.target,
         "threshold": outcomes.threshold, "ewma": ewma(grid.rv, EWMA_DECAY)}
    )  # fmt: skip
    said = asked.drop(columns=["series", "horizon_days"]).assign(as_of=asked["as_of"].dt.as_unit("us"))
    both = said.merge(table.assign(as_of=table["as_of"].dt.as_unit("us")), on="as_of").sort_values("as_of")
    if both.empty:
        return []
    known = known_outcomes(both.tail(_HISTORY_ROWS), pd.Timestamp(now), horizon, 1.0 / daily)
    subject, a_quarter = f"{name}/{horizon}d", DAYS_A_QUARTER * daily
    recent = known_outcomes(both.tail(_OUTCOME_ROWS), pd.Timestamp(now), horizon, 1.0 / daily)

    def calibration() -> list[Alarm]:
        judged = calibration_drift(known, PER_QUARTER, rng, rows_a_quarter=a_quarter)
        return list(_judged(subject, DriftKind.CALIBRATION, judged, CALIBRATION_ROWS / daily))

    def performance() -> list[Alarm]:
        judged = performance_drift(recent, horizon, rows_a_quarter=a_quarter)
        return list(_judged(subject, DriftKind.PERFORMANCE, judged, 28 / daily))

    def prediction() -> list[Alarm]:
        issued = both.dropna(subset=["p_spike"]).reset_index(drop=True)
        whole = issued.iloc[: len(issued) - len(issued) % STEP_ROWS]
        watch = watch_distributions(whole, ["p_spike"], PER_QUARTER, rng, daily=daily)
        return _distribution_alarms(subject, DriftKind.PREDICTION, watch, pd.DatetimeIndex(whole["as_of"]))

    return [*_said(calibration), *_said(performance), *_said(prediction)]


def _judged(subject: str, kind: DriftKind, judged: Judged, days: float) -> Iterator[Alarm]:
    limit = judged.threshold
    for row in judged.alarms.tolist():
        end = judged.known_at[row].to_pydatetime()
        start = (judged.known_at[row] - pd.Timedelta(days=days)).floor("us").to_pydatetime()
        evidence = {"outcomes_open": judged.open, "observed_per_quarter": round(limit.observed, 3)}
        value = float(judged.statistic[row])
        yield Alarm(subject, kind, end, value, limit.value, limit.per_quarter, start, end, evidence)


def _distribution_alarms(
    subject: str, kind: DriftKind, watch: DistributionWatch, times: pd.DatetimeIndex
) -> list[Alarm]:
    found = []
    for alarm in watch.alarms():
        end = times[alarm.row].to_pydatetime()
        start = times[max(0, alarm.row - 27)].to_pydatetime()
        figures = {name: round(value, 4) for name, value in alarm.figures.items()}
        evidence = {"worst": alarm.worst, "distances": figures}
        limit = watch.threshold
        found.append(Alarm(subject, kind, end, alarm.statistic, limit.value, limit.per_quarter, start, end, evidence))
    return found


def _day(now: datetime) -> int:
    return int(now.timestamp() // 86_400)
