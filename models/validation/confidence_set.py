"""Model confidence set: the members that the data cannot tell from the best (Hansen, Lunde & Nason 2011)."""

from __future__ import annotations

import pandas as pd

SIZE = 0.10
REPETITIONS = 500
MIN_BLOCK = 10  # rows: losses of neighbouring days move together


def confidence_set(losses: pd.DataFrame, horizon_days: int, seed: int = 0) -> frozenset[str]:
    """Members of the 90 % set, from mean losses by date (index) and member (columns), without NaN.

    Stationary bootstrap with blocks of max(h, 10) dates; the same seed gives the same set. One member alone is the set.
    """
    if losses.shape[1] < 2:
        return frozenset(str(name) for name in losses.columns)
    from arch.bootstrap import MCS  # a second of import that a scoring tick does not need

    found = MCS(losses, SIZE, reps=REPETITIONS, block_size=max(horizon_days, MIN_BLOCK), method="R", seed=seed)
    found.compute()
    return frozenset(str(name) for name in found.included)
