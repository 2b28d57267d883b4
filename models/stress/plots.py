"""Pictures of a simulation. Pure: return matplotlib figures; nothing is shown or written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

SIZE_INCHES = (9.0, 4.5)
WORDS = {"hold": "without keeper", "policy": "with keeper", "mix": "constant mix"}
_COLOURS = {"hold": "tab:orange", "policy": "tab:blue"}
_SHADES = (0.15, 0.25, 0.35)  # of bands from the outermost in


def fan_chart(curve: Mapping[str, Any], title: str) -> Figure:
    """Percentiles of equity at each close, without and with the keeper side by side.

    Parameters
    ----------
    curve : `days` (points), `percents` (odd, increasing) and `bands` by strategy, as a simulation stores it. Dashed:
        the band that holds 90 % of whole paths.
    """
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    days, percents = curve["days"], curve["percents"]
    for axes, name in zip(panels, _COLOURS, strict=True):
        band = curve["bands"][name]
        for shade, low in zip(_SHADES, range(len(percents) // 2), strict=False):
            high = len(percents) - 1 - low
            axes.fill_between(
                days, band["pointwise"][low], band["pointwise"][high], color=_COLOURS[name], alpha=shade, lw=0,
                label=f"{percents[low]} to {percents[high]} % of closes",
            )  # fmt: skip
        axes.plot(days, band["pointwise"][len(percents) // 2], color="0.15", lw=1.2, label="median")
        for edge, label in (("low", "90 % of whole paths"), ("high", None)):
            axes.plot(days, band[edge], color="0.35", lw=0.9, ls="--", label=label)
        axes.axhline(1.0, color="0.7", lw=0.6)
        axes.set_title(WORDS[name], fontsize=10)
        axes.set_xlabel("day of the path")
        axes.margins(x=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="x-small", loc="upper left")
    panels[0].set_ylabel("equity (1 at the start)")
    figure.suptitle(title)
    return figure


def drawdown_histogram(curve: Mapping[str, Any], title: str) -> Figure:
    """Share of paths by their largest drawdown, without and with the keeper.

    Parameters
    ----------
    curve : `drawdown_edges` (bins + 1) and `drawdown_counts` by strategy (bins), as a simulation stores it. The axis
        ends with the last bin that holds a path.
    """
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    edges = np.array(curve["drawdown_edges"])
    counts = {name: np.array(curve["drawdown_counts"][name]) for name in _COLOURS}
    without = counts["hold"]
    axes.stairs(without / without.sum(), edges, color=_COLOURS["hold"], alpha=0.2, fill=True)
    for name, own in counts.items():
        axes.stairs(own / own.sum(), edges, color=_COLOURS[name], lw=1.4, label=WORDS[name])
    last = int(np.flatnonzero(sum(counts.values())).max()) + 1
    axes.set_xlim(0.0, edges[last])
    axes.set_xlabel("largest drawdown of a path")
    axes.set_ylabel("share of paths")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
