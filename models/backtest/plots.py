"""Pictures of a backtest. Pure: returns a matplotlib figure; nothing is shown or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

SIZE_INCHES = (9.0, 6.0)


def equity_and_drawdown(curve: Mapping[str, Any], title: str) -> Figure:
    """Equity of each strategy on a logarithmic axis, and below it the drawdown.

    Parameters
    ----------
    curve : `days` (n) as text of the returns, `equity` by strategy (n + 1, 1 at the start), as a run stores it.
    """
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    days = np.array(curve["days"], dtype="datetime64[D]")
    moments = np.concatenate([days[:1] - 1, days])
    for name, equity in curve["equity"].items():
        _draw(above, below, moments, equity, name)
    above.set_yscale("log")
    above.set_title(title)
    above.set_ylabel("equity (1 at the start)")
    below.set_ylabel("drawdown")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    above.legend(frameon=False, ncols=2, fontsize="small")
    return figure


def _draw(above: Any, below: Any, moments: np.ndarray, equity: Sequence[float], name: str) -> None:
    course = np.array(equity, dtype=np.float64)
    style = {"lw": 1.1, "ls": "--" if name.endswith("_mix") else "-"}
    above.plot(moments, course, label=name.replace("_", " "), **style)
    below.plot(moments, course / np.maximum.accumulate(course) - 1.0, **style)
