"""Probability integral transform of a walk-forward: where outcomes fell in the law that was said before them.

If the law is right, the values are uniform (Dawid 1984; Diebold, Gunther & Tay 1998): a hump means it is too wide, a
valley too narrow, a slope that forecasts are too high or too low.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import Protocol
from models.volatility.law import spike_path

FloatArray = NDArray[np.float64]


def pit(walk_forward: pd.DataFrame, model: str, protocol: Protocol) -> FloatArray:
    """(n,) values in [0, 1] of the scored rows of one model with a known outcome that are not managed.

    The law of each row is that of the walk-forward: smoothed log errors of two years known at the row. Rows under 150
    known errors have none. One horizon at a time.
    """
    own = walk_forward[walk_forward["model"] == model].sort_values(["series", "as_of"])
    found = []
    for _, part in own.groupby("series"):
        target, forecast = part["realised"].to_numpy(), part["rv_forecast"].to_numpy()
        above = spike_path(target, forecast, target, int(part["horizon_days"].iloc[0]), protocol.spike_window)
        counts = part["scored"].to_numpy() & ~part["managed"].to_numpy() & np.isfinite(target)
        found.append(1.0 - above[counts])
    values = np.concatenate(found) if found else np.empty(0)
    return values[np.isfinite(values)]
