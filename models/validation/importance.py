"""Which inputs move the forecasts of a bundle: mean size of each driver's term over the newest row of every series.

The terms are those that are served with each score, so a picture of the model cannot differ from its explanations.
"""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from models.volatility.bundle import Bundle
from models.volatility.forecaster import USUAL_LEVEL
from models.volatility.panel import build_panel


def importance(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame:
    """`driver`, `mean_size` (mean |contribution| to ln rv over the series that have a forecast), largest first.

    Parameters
    ----------
    rows : rows of `features.volatility` as for `Bundle.predict`
    """
    panel = build_panel(rows, bundle.kind)
    sizes: dict[str, float] = defaultdict(float)
    spoken = 0
    for series, grid in panel.grids.items():
        row = len(grid) - 1
        forecast = bundle.forecaster.forecast(panel, series, row, row + 1)[0]
        if not forecast > 0:
            continue
        spoken += 1
        for term in bundle.forecaster.terms(panel, series, row):
            if term.name != USUAL_LEVEL:
                sizes[term.name] += abs(term.contribution)
    table = pd.DataFrame({"driver": list(sizes), "mean_size": [size / spoken for size in sizes.values()]})
    return table.sort_values(["mean_size", "driver"], ascending=[False, True], ignore_index=True)
