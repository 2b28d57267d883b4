"""Fitting what is registered: a champion on all rows, the laws of its own out-of-sample errors, a pool's weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.market import SeriesKind
from models.risk.var import TAIL_LEVEL, Tail, last_tail
from models.volatility.bundle import Bundle, SeriesLaws, new_classifier
from models.volatility.calibration import fit_calibration, last_known
from models.volatility.combination import Combination
from models.volatility.law import Law, known_errors
from models.volatility.members import make
from models.volatility.novelty import fit_seen
from models.volatility.outcomes import Outcomes, adaptive_step, outcomes_of, spike_probabilities
from models.volatility.panel import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, Grid, Panel, aware, build_panel, utc

if TYPE_CHECKING:
    from models.volatility.lightgbm_spikes import SpikeClassifier

FloatArray = NDArray[np.float64]

FITTED_TO = ("model", "series", "horizon_days", "as_of", "rv_forecast", "p_direct")  # columns of a walk-forward


def fit_bundle(
    rows: pd.DataFrame, kind: SeriesKind, horizon_days: int, champion: str, walk_forward: pd.DataFrame
) -> Bundle:
    """Fit `champion` to all rows and its laws to its out-of-sample forecasts.

    Parameters
    ----------
    rows : the rows of `features.volatility` that `walk_forward` was made from
    walk_forward : columns `FITTED_TO` of a frame of `models.volatility.walk_forward`; a combination reads all members

    Raises
    ------
    ValueError
        The walk-forward holds forecasts, but none of the champion at this horizon. One without any rows (short
        series) gives a bundle that answers `insufficient_data`.
    """
    panel = build_panel(rows, kind)
    own = walk_forward[(walk_forward["model"] == champion) & (walk_forward["horizon_days"] == horizon_days)]
    if own.empty and not walk_forward.empty:
        raise ValueError(f"no walk-forward forecasts of {champion} at {horizon_days} days: run them before fitting")
    known_until = max(grid.as_of[-1] for grid in panel.grids.values())
    forecaster = make(champion, kind, horizon_days, parts=_parts(walk_forward))
    forecaster.fit(panel, known_until)
    if isinstance(forecaster, Combination):
        forecaster.learn(panel, _paths(walk_forward, panel, tuple(forecaster.parts), horizon_days))
    spikes = _spike_classifier(own, panel, known_until, horizon_days)
    forecasts = {str(series): part for series, part in own.groupby("series")}
    laws = {
        series: _fit_laws(grid, panel, horizon_days, forecasts[series])
        for series, grid in panel.grids.items()
        if series in forecasts
    }
    trained_from = aware(min(grid.as_of[0] for grid in panel.grids.values()))
    features = tuple(c for c in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if c in rows.columns)
    seen = fit_seen(panel, known_until)
    until = aware(known_until)
    return Bundle(kind, horizon_days, champion, trained_from, until, features, forecaster, spikes, laws, seen)


def _parts(walk_forward: pd.DataFrame) -> list[str]:
    """Members that a combination pooled in the walk-forward, in its order."""
    return [str(name) for name in walk_forward["model"].unique()]


def _paths(
    walk_forward: pd.DataFrame, panel: Panel, parts: tuple[str, ...], horizon_days: int
) -> dict[str, dict[str, FloatArray]]:
    """Out-of-sample forecasts on the panel's grids: member -> series -> (n,), NaN where there is none."""
    rows = walk_forward[walk_forward["horizon_days"] == horizon_days]
    known = dict(iter(rows.groupby(["model", "series"])))
    return {
        name: {series: _on_grid(known.get((name, series)), "rv_forecast", grid) for series, grid in panel.grids.items()}
        for name in parts
    }


def _on_grid(rows: pd.DataFrame | None, column: str, grid: Grid) -> FloatArray:
    if rows is None:
        return np.full(len(grid), np.nan)
    return pd.Series(rows[column].to_numpy(), utc(rows["as_of"])).reindex(grid.as_of).to_numpy(dtype=float)


def _spike_classifier(
    own: pd.DataFrame, panel: Panel, known_until: np.datetime64, horizon_days: int
) -> SpikeClassifier | None:
    """Fitted where the walk-forward had one: its mixture is what was calibrated."""
    if not own["p_direct"].notna().any():
        return None
    spikes = new_classifier(panel.kind, horizon_days)
    spikes.fit(panel, known_until)
    return spikes


def _fit_laws(grid: Grid, panel: Panel, horizon_days: int, own: pd.DataFrame) -> SeriesLaws:
    protocol, n = panel.protocol, len(grid)
    forecast, direct = _on_grid(own, "rv_forecast", grid), _on_grid(own, "p_direct", grid)
    outcomes: Outcomes = outcomes_of(grid, panel.kind, protocol, horizon_days)
    errors = known_errors(outcomes.target, forecast, n, horizon_days, protocol.spike_window)
    raw_path, _ = spike_probabilities(outcomes, forecast, protocol, direct)
    calibration = fit_calibration(*last_known(raw_path, outcomes.spike, n, horizon_days), horizon_days)
    tail = last_tail(grid.ret, forecast, adaptive_step(panel.kind)) if horizon_days == 1 else Tail((), TAIL_LEVEL)
    threshold = float(outcomes.threshold[-1])
    return SeriesLaws(Law(tuple(errors.tolist())), calibration, tail, threshold if math.isfinite(threshold) else None)
