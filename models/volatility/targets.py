"""What is forecast and when its outcome is known: targets, spike thresholds, refit points, purged rows.

A row at position t of a daily grid may use values at positions <= t. The target of t looks forward, so it is usable
only once its window has closed; training adds one day of embargo for late bars and revisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS, SPIKE_QUANTILE, Protocol

FloatArray = NDArray[np.float64]
Moment = TypeVar("Moment", int, np.datetime64)


def forward_mean(rv: FloatArray, horizon_days: int) -> FloatArray:
    """Target V_t = mean of rv[t+1 .. t+h]; (n,) -> (n,), NaN when a day of the window is missing or still ahead."""
    target = np.full(len(rv), np.nan)
    if len(rv) > horizon_days:
        target[:-horizon_days] = np.lib.stride_tricks.sliding_window_view(rv[1:], horizon_days).mean(axis=1)
    return target


def known_threshold(target: FloatArray, horizon_days: int, window: int) -> FloatArray:
    """90 % quantile of the last `window` targets whose window has closed by t; NaN under 60 % of them."""
    known = pd.Series(target).shift(horizon_days)
    return known.rolling(window, min_periods=int(0.6 * window)).quantile(SPIKE_QUANTILE).to_numpy()


def training_stop(position: int, horizon_days: int) -> int:
    """First row that may NOT train a model fitted at `position`: row s needs s + h + embargo <= position."""
    return max(0, position - horizon_days - EMBARGO_DAYS + 1)


def first_fit(protocol: Protocol) -> int:
    """Models start at half the warm-up: their errors are needed before the first scored origin."""
    return protocol.warm_up // 2


def refit_points(rows: int, protocol: Protocol) -> list[int]:
    """Positions at which the models of one series are fitted again."""
    return list(range(first_fit(protocol), rows, protocol.refit_step))


def spans(starts: Sequence[Moment], end: Moment) -> list[tuple[Moment, Moment]]:
    """From each start to the next, the last one to `end`."""
    ends = list(starts[1:])
    ends.append(end)
    return list(zip(starts, ends, strict=True)) if starts else []
