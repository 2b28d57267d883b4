"""What of Ballast is put to the leak probes: every number that a panel's rows are turned into before and after a fit.

Each function here turns rows of `features.volatility` into what was said of each of them at its own moment, in the
form that `leaks` compares. Outcomes stand at the moment at which they are known, not at the one that they are about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS
from models.contracts.market import SeriesKind
from models.validation.champion_path import champion_path
from models.validation.leaks import Build, Fit
from models.validation.placebo import Learn
from models.volatility.design import build_design
from models.volatility.forecaster import Forecaster
from models.volatility.members import make
from models.volatility.outcomes import outcomes_of, spike_probabilities
from models.volatility.panel import Grid, build_panel
from models.volatility.targets import forward_mean, training_stop
from models.volatility.walk_forward import walk_forward

FloatArray = NDArray[np.float64]

LABEL_FREE = ("ewma", "garch")  # members that weigh the days up to the fit instead of learning an outcome
SAID = ("rv_forecast", "threshold", "p_spike", "score", "var99", "es99", "managed", "scored")
# A matrix product takes rows in blocks: how many there are decides about the last bits.
PRODUCT_TOLERANCE = 1e-9


def design_of(kind: SeriesKind) -> Build:
    """Every column of the design matrix."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        design = build_design(panel)
        return _stacked(
            (grid, dict(zip(design.names, design.rows[series].T, strict=True))) for series, grid in panel.grids.items()
        )

    return build


def inputs_of(kind: SeriesKind) -> Build:
    """A panel's inputs: variance, return, optional columns, HAR terms."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        lags = panel.protocol.har_lags
        return _stacked(
            (grid, {"rv": grid.rv, "ret": grid.ret, **grid.columns, **dict(zip(_har(lags), grid.har.T, strict=True))})
            for grid in panel.grids.values()
        )

    return build


def outcomes_known(kind: SeriesKind, horizon_days: int) -> Build:
    """Threshold and class of each row, and the outcomes that have closed by it: targets, spikes, returns."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        parts = []
        for grid in panel.grids.values():
            outcomes = outcomes_of(grid, kind, panel.protocol, horizon_days)
            said = {
                "threshold": outcomes.threshold,
                "managed": outcomes.managed.astype(float),
                "closed_target": _later(outcomes.target, horizon_days),
                "closed_spike": _later(outcomes.spike, horizon_days),
                "closed_ret_next": _later(outcomes.ret_next, 1),
            }
            parts.append((grid, said))
        return _stacked(parts)

    return build


def published(kind: SeriesKind, horizon_days: int, members: Sequence[str], threads: int = 1) -> Build:
    """Walk-forward forecasts of `members`, and what the gate would have published of them (series `NAME published`)."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        forecasts = walk_forward(rows, kind, horizon_days, members, threads)
        parts = [forecasts.assign(series=forecasts["series"] + " " + forecasts["model"])]
        if len(forecasts):
            chosen = champion_path(forecasts, kind)
            parts.append(chosen.assign(series=chosen["series"] + " published"))
        said = pd.concat(parts, ignore_index=True)[["series", "as_of", *SAID]]
        return said.astype({"managed": float, "scored": float})

    return build


def forecasts_of(member: Forecaster, kind: SeriesKind) -> Build:
    """What one fitted member says of every row."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        return _stacked((grid, {member.name: member.forecast(panel, s)}) for s, grid in panel.grids.items())

    return build


def fitted(name: str, kind: SeriesKind, horizon_days: int, rows: pd.DataFrame, moment: pd.Timestamp) -> Forecaster:
    member = make(name, kind, horizon_days)
    member.fit(build_panel(rows, kind), _naive(moment))
    return member


def learned(name: str, kind: SeriesKind, horizon_days: int, rows: pd.DataFrame) -> Fit:
    """What a member keeps of a fit to changed rows: its state, and what it then says of `rows` as they really are."""
    panel = build_panel(rows, kind)

    def fit(changed: pd.DataFrame, moment: pd.Timestamp) -> str:
        member = fitted(name, kind, horizon_days, changed, moment)
        said = [member.forecast(panel, series) for series in panel.grids]
        if not any(np.isfinite(forecast).any() for forecast in said):
            return ""
        return json.dumps([member.state(), [forecast.tobytes().hex() for forecast in said]], sort_keys=True)

    return fit


def law_of(kind: SeriesKind, horizon_days: int, rows: pd.DataFrame) -> Fit:
    """What the laws of a series' own errors keep at a moment: the spike probabilities up to it, from outcomes that may
    be changed, with forecasts (EWMA) and thresholds that are not."""
    panel = build_panel(rows, kind)
    member = fitted("ewma", kind, horizon_days, rows, rows["as_of"].max())
    settled = {
        series: (outcomes_of(grid, kind, panel.protocol, horizon_days), member.forecast(panel, series))
        for series, grid in panel.grids.items()
    }

    def fit(changed: pd.DataFrame, moment: pd.Timestamp) -> str:
        other = build_panel(changed, kind)
        kept = []
        for series, (outcomes, forecast) in settled.items():
            until = panel.grids[series].rows_until(_naive(moment))
            target = forward_mean(other.grids[series].rv, horizon_days)[:until]
            threshold = outcomes.threshold[:until]
            known = np.isfinite(target) & np.isfinite(threshold)
            spike = np.where(known, (target > threshold).astype(float), np.nan)
            moved = replace(outcomes, target=target, threshold=threshold, spike=spike)
            kept += spike_probabilities(moved, forecast[:until], panel.protocol)
        if not any(np.isfinite(path).any() for path in kept):
            return ""
        return json.dumps([path.tobytes().hex() for path in kept])

    return fit


def training_sets(
    kind: SeriesKind, horizon_days: int, rows: pd.DataFrame, stop: Callable[[int, int], int] = training_stop
) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
    """At each refit past the warm-up of each series, the rows that the rule lets train, with the end of each label.

    Parameters
    ----------
    stop : (position of the fit, horizon) -> first row that may not train
    """
    panel = build_panel(rows, kind)
    for grid in panel.grids.values():
        calendar = _calendar(grid)
        for position in range(panel.protocol.warm_up, len(grid), panel.protocol.refit_step):
            inside = np.arange(stop(position, horizon_days))
            ends = np.minimum(inside + horizon_days, len(grid) - 1)
            training = {"series": grid.series, "as_of": calendar[inside], "label_end": calendar[ends]}
            yield calendar[position], pd.DataFrame(training)


def learner(name: str, kind: SeriesKind, horizon_days: int, threads: int = 1) -> Learn:
    """A member's whole walk-forward, for the placebo."""

    def learn(rows: pd.DataFrame) -> pd.DataFrame:
        return walk_forward(rows, kind, horizon_days, [name], threads)[["series", "as_of", "rv_forecast", "realised"]]

    return learn


EMBARGO = pd.Timedelta(days=EMBARGO_DAYS)


def _stacked(parts: Iterable[tuple[Grid, Mapping[str, FloatArray | NDArray[np.float32]]]]) -> pd.DataFrame:
    frames = [pd.DataFrame({"series": grid.series, "as_of": _calendar(grid), **columns}) for grid, columns in parts]
    return pd.concat(frames, ignore_index=True)


def _har(lags: Sequence[int]) -> list[str]:
    return [f"har_{lag}" for lag in lags]


def _later(values: FloatArray, rows: int) -> FloatArray:
    """Each value at the row at which it is known, `rows` after the one that it is about."""
    return np.concatenate([np.full(min(rows, len(values)), np.nan), values[: max(len(values) - rows, 0)]])


def _naive(moment: pd.Timestamp) -> np.datetime64:
    return moment.tz_convert("UTC").tz_localize(None).to_datetime64()


def _calendar(grid: Grid) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(grid.as_of).tz_localize("UTC")
