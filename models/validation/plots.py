"""Pictures for a run's page: losses over time, reliability, PIT, forecast against outcome, clustering, drivers.

Pure functions that return a matplotlib figure; nothing is shown or written, and no global state is touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from models.validation.decay import MAX_RATIO, RETURN_RATIO, rolling_ratio, window_dates
from models.validation.evaluation import comparable, panel_losses
from models.validation.spikes import reliability
from models.volatility.ewma import Ewma

SMOOTHING_DATES = 90
SIZE_INCHES = (9.0, 4.5)
PIT_BINS = 20
DRIVERS_SHOWN = 20


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


def loss_ratio(walk_forward: pd.DataFrame, models: Sequence[str], baseline: str) -> Figure:
    """QLIKE of some members over that of EWMA and, below, of the baseline in force, over the window of the fallback.

    The lines of the upper part are what `decay.fallback` looks at: a challenger that serves gives way above the dashed
    one, if that is more than chance, and returns below the dotted one.
    """
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    losses = panel_losses(comparable(walk_forward))
    window = window_dates(int(walk_forward["horizon_days"].iloc[0])) if len(walk_forward) else 0
    references = list(dict.fromkeys([Ewma.name, baseline]))
    parts = figure.subplots(len(references), sharex=True, squeeze=False)[:, 0]
    for axes, reference in zip(parts, references, strict=True):
        for place, model in enumerate(models):
            if model != reference and {model, reference} <= set(losses):  # a young market has nothing to compare yet
                ratio = rolling_ratio(losses, model, reference, window)
                axes.plot(ratio.index.to_numpy(), ratio.to_numpy(), color=f"C{place}", lw=1.0, label=model)
        axes.axhline(RETURN_RATIO, color="grey", lw=0.8, ls=":", label=f"{RETURN_RATIO:g}")
        axes.set_ylabel(f"QLIKE over {reference}")
        axes.spines[["top", "right"]].set_visible(False)
    parts[0].axhline(MAX_RATIO, color="black", lw=0.8, ls="--", label=f"{MAX_RATIO:g}")
    parts[0].set_title(f"Means of {window} dates: a challenger gives way above {MAX_RATIO:g}, if that is beyond chance")
    parts[-1].set_xlabel("origin")
    lines, names = parts[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", frameon=False, ncols=len(names))
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


def pit_histogram(values: NDArray[np.float64], title: str) -> Figure:
    """Share of outcomes in each twentieth of the law, with the band that 99 % of uniform histograms would keep."""
    figure, axes = _axes(f"Where outcomes fell in the law: {title}", "probability integral transform", "share")
    counts, edges = np.histogram(values, PIT_BINS, (0.0, 1.0))
    axes.bar(edges[:-1], counts / max(len(values), 1), width=1.0 / PIT_BINS, align="edge", ec="white", lw=0.5)
    if len(values):
        low, high = stats.binom.ppf([0.005, 0.995], len(values), 1.0 / PIT_BINS) / len(values)
        axes.axhspan(low, high, color="grey", alpha=0.3, lw=0, label=f"99 % of {len(values):,} independent outcomes")
        axes.legend(frameon=False)
    return figure


def volatility_clusters(clustering: pd.DataFrame) -> Figure:
    """Autocorrelation of absolute returns by lag: one thin line a series, their median thick."""
    figure, axes = _axes("Volatility clusters: absolute returns", "lag, rows", "autocorrelation")
    lags = clustering.index.to_numpy()
    for series in clustering:
        axes.plot(lags, clustering[series].to_numpy(), color="grey", lw=0.6, alpha=0.6)
    axes.plot(lags, clustering.median(axis=1).to_numpy(), lw=2.0, label="median series")
    axes.axhline(0.0, color="black", lw=0.6)
    axes.legend(frameon=False)
    return figure


def drivers(importance: pd.DataFrame, title: str) -> Figure:
    """The largest drivers of a model, longest bar on top."""
    figure, axes = _axes(f"Drivers of {title}", "mean size of the term of ln rv", "")
    top = importance.head(DRIVERS_SHOWN)[::-1]
    axes.barh(top["driver"].to_numpy(), top["mean_size"].to_numpy())
    return figure


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
