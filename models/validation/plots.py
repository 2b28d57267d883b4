"""Three pictures of a walk-forward for the run's page: loss over time, reliability, forecast against outcome.

Pure functions that return a matplotlib figure; nothing is shown or written, and no global state is touched.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.validation.evaluation import comparable, panel_losses
from models.validation.spikes import reliability

SMOOTHING_DATES = 90
SIZE_INCHES = (9.0, 4.5)


def loss_over_time(walk_forward: pd.DataFrame) -> Figure:
    """Mean QLIKE of the panel by date, 90 dates smoothed, one line a model."""
    figure, axes = _axes("QLIKE over time", "origin", f"QLIKE, mean of {SMOOTHING_DATES} dates")
    losses = panel_losses(comparable(walk_forward))
    smooth = losses.rolling(SMOOTHING_DATES, min_periods=SMOOTHING_DATES // 3).mean()
    for model in smooth:
        axes.plot(
            smooth.index.to_numpy(), smooth[model].to_numpy(), label=f"{model} {losses[model].mean():.3f}", lw=1.2
        )
    if losses.shape[1]:  # a young market has nothing to compare yet
        axes.legend(frameon=False, ncols=3)
    return figure


def reliability_diagram(walk_forward: pd.DataFrame) -> Figure:
    """Promised against seen spike frequency in ten bins of equal size, one line a model."""
    figure, axes = _axes("Spike probabilities: promised and seen", "mean probability", "share of spikes")
    rows = comparable(walk_forward).dropna(subset=["p_spike", "threshold"])
    for model, part in rows.groupby("model"):
        outcome = np.asarray(part["realised"] > part["threshold"], dtype=np.float64)
        table = reliability(outcome, part["p_spike"].to_numpy())
        axes.plot(table[:, 1], table[:, 2], marker="o", ms=3, lw=1.0, label=str(model))
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--", label="calibrated")
    axes.legend(frameon=False)
    return figure


def forecast_against_realised(walk_forward: pd.DataFrame, model: str, series: str) -> Figure:
    """Volatility of one series, per cent a day and not annualised: the forecast over the realised points."""
    own = walk_forward[(walk_forward["model"] == model) & (walk_forward["series"] == series)].sort_values("as_of")
    figure, axes = _axes(f"{series}: {model}", "origin", "volatility, % a day")
    moments = own["as_of"].to_numpy()
    axes.plot(moments, 100 * np.sqrt(own["realised"].to_numpy()), ".", ms=2, color="grey", label="realised")
    axes.plot(moments, 100 * np.sqrt(own["rv_forecast"].to_numpy()), lw=1.0, label="forecast")
    axes.legend(frameon=False)
    return figure


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
