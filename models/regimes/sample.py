"""Whether there are enough days in each regime to speak of regimes at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.regimes.states import VOLATILITY_REGIMES

IntArray = NDArray[np.int64]

MIN_DAYS = 60  # in each regime: two months, below which a mean of daily variances is mostly its worst day


def days_in_each(labels: IntArray, seen: NDArray[np.bool_]) -> IntArray:
    """(n, 3) days seen so far in each regime.

    Parameters
    ----------
    labels : (n,) positions in `VOLATILITY_REGIMES`, -1 = none
    seen : (n,) whether the day was observed; a day that is only carried forward counts for nothing
    """
    columns = [np.cumsum((labels == k) & seen) for k in range(len(VOLATILITY_REGIMES))]
    return np.column_stack(columns).astype(np.int64)


def shortage(days: IntArray) -> str | None:
    """Why (3,) days in each regime do not suffice; None if they do."""
    if int(days.min()) >= MIN_DAYS:
        return None
    have = ", ".join(f"{name} {int(count)}" for name, count in zip(VOLATILITY_REGIMES, days, strict=True))
    return f"{MIN_DAYS} days in each regime required, received: {have}"
