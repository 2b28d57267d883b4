"""Drawdown of an equity path: how deep, how long, and whether it has ended.

E_0 = 1, M_t = max of E up to t, drawdown_t = 1 - E_t / M_t. Under water is a step with a drawdown over zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """`deepest`: largest drawdown (fraction of the peak, 0-1), from row `peak` to row `trough`; `recovered`: first row
    after it at the old peak again, None while it has none. `now`: drawdown of the last row. `under_water`: share of
    steps under water. `longest_spell`: steps of the longest spell under water, counted to the end if it has not ended:
    `is_open` then says that it is censored."""

    deepest: float
    peak: int
    trough: int
    recovered: int | None
    now: float
    under_water: float
    longest_spell: int
    is_open: bool


def equity_of(ret: FloatArray) -> FloatArray:
    """(n + 1,) equity from 1 on of (n,) log returns.

    Raises
    ------
    ValueError
        A return is missing: whether that day was lost, made or stood still is for the caller to say.
    """
    if not np.isfinite(ret).all():
        raise ValueError("returns: one is missing or infinite; an equity path needs all of them")
    return np.asarray(np.exp(np.concatenate([[0.0], np.cumsum(ret)])))


def drawdown_path(equity: FloatArray) -> FloatArray:
    """(n,) drawdown at each row of an equity path, 0-1.

    Raises
    ------
    ValueError
        The path is empty, or a value is not finite and positive.
    """
    if len(equity) == 0 or not (np.isfinite(equity).all() and (equity > 0).all()):
        raise ValueError("equity: every value must be finite and positive")
    return np.asarray(1.0 - equity / np.maximum.accumulate(equity))


def drawdown(equity: FloatArray) -> Drawdown:
    """Figures of an equity path (n,); raises as `drawdown_path`. Ties go to the first."""
    path = drawdown_path(equity)
    trough = int(np.argmax(path))
    peak = int(np.argmax(equity[: trough + 1]))
    back = np.flatnonzero(equity[trough:] >= equity[peak])
    recovered = trough + int(back[0]) if len(back) else None
    wet = path > 0
    lengths, ends = _spells(wet)
    longest = int(np.argmax(lengths)) if len(lengths) else 0
    return Drawdown(
        deepest=float(path[trough]),
        peak=peak,
        trough=trough,
        recovered=recovered,
        now=float(path[-1]),
        under_water=float(wet[1:].mean()) if len(path) > 1 else 0.0,
        longest_spell=int(lengths[longest]) if len(lengths) else 0,
        is_open=bool(len(lengths) and ends[longest] == len(path)),
    )


def _spells(wet: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Length of each run of True and the row after its last."""
    edges = np.diff(np.concatenate([[0], wet.astype(np.int64), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return (ends - starts).astype(np.int64), ends.astype(np.int64)
