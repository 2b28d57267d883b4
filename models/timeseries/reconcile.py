"""Two sources of the same rate, side by side. Pure: which days they disagree on, and by how much."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.timeseries.limits import DEFAULT_LIMITS


def reconcile(a: pd.Series, b: pd.Series, tolerance: float = DEFAULT_LIMITS.reconcile_log_distance) -> pd.Series:
    """ln(a / b) on the days both sources publish and differ by more than `tolerance`.

    Parameters
    ----------
    a, b
        Rates by day, one a day, positive; NaN is no rate.
    tolerance
        Largest difference of logarithms that counts as agreement; a difference of exactly `tolerance` agrees.

    Returns
    -------
    Signed differences indexed by day, in time order. Raises ValueError if a day appears twice in one source.
    """
    if not (a.index.is_unique and b.index.is_unique):
        raise ValueError("one rate a day and source: choose among revisions before reconciling")
    both = pd.concat([a.astype(float), b.astype(float)], axis=1, join="inner", keys=["a", "b"]).dropna().sort_index()
    difference = pd.Series(np.log((both["a"] / both["b"]).to_numpy()), index=both.index)
    return difference[difference.abs() > tolerance]
