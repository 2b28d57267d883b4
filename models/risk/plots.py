"""The picture of a correlation matrix. Pure: returns a matplotlib figure; nothing is shown or written."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from models.risk.correlation import Correlation

INCHES_A_NAME = 0.34
WRITTEN_UP_TO = 12  # names; more cells are too small for their numbers


def heat_map(found: Correlation, title: str) -> Figure:
    """Correlations as colours, -1 blue to 1 red; a pair without a number is left grey."""
    k = len(found.names)
    side = 1.6 + INCHES_A_NAME * k
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("lightgrey")
    image = axes.imshow(np.ma.masked_invalid(found.matrix), vmin=-1.0, vmax=1.0, cmap="RdBu_r")
    axes.set_xticks(range(k), found.names, rotation=90, fontsize=7)
    axes.set_yticks(range(k), found.names, fontsize=7)
    if k <= WRITTEN_UP_TO:
        for i, j in np.argwhere(np.isfinite(found.matrix)).tolist():
            axes.text(j, i, f"{found.matrix[i, j]:.1f}", ha="center", va="center", fontsize=6)
    axes.set_title(title, fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure
