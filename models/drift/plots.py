"""The picture of the delay curve. Pure: returns a matplotlib figure; nothing is shown or written."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

SIZE_INCHES = (9.0, 4.5)
GOAL_H = 120.0


def delay_against_false_alarms(curve: pd.DataFrame, title: str) -> Figure:
    """Median delay over the false alarms seen, one line a factor, both on logarithmic axes; `curve` as
    `delay_curve` gives it."""
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    for factor, part in curve.sort_values("threshold").groupby("factor", sort=True):
        seen = part["false_alarms"].clip(lower=0.5 / part["quarters"])  # none seen is drawn as half an alarm
        axes.plot(
            seen.to_numpy(), part["median_h"].to_numpy(), marker="o", ms=3, lw=1.2, label=f"volatility x {factor:g}"
        )
    axes.axhline(GOAL_H, color="grey", lw=0.8, ls="--", label=f"{GOAL_H:.0f} hours")
    axes.axvline(1.0, color="grey", lw=0.8, ls=":", label="one false alarm a quarter")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(title)
    axes.set_xlabel("false alarms a quarter, out of sample")
    axes.set_ylabel("median delay, hours")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
