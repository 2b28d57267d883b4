"""What is kept of a simulated path: end, drawdown, lowest point, time under water.

A generator fills one path at a time into a small buffer and calls `measure`, so that a million paths need no memory.
Equity starts at 1 and is exp of the sum of log returns; its peak includes the start.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FIGURES = 5


@dataclass(frozen=True)
class PathStatistics:
    """All (paths, assets).

    Parameters
    ----------
    log_return : of the whole path
    max_drawdown : largest fall from a peak, as a share of the peak
    lowest : lowest equity after a step, 1 = the start
    under_water : share of the steps that end below the peak
    longest_spell : steps of the longest stay below a peak, counted to the end where it has not recovered
    """

    log_return: FloatArray
    max_drawdown: FloatArray
    lowest: FloatArray
    under_water: FloatArray
    longest_spell: FloatArray


@njit(cache=True, nogil=True)
def measure(returns: FloatArray, out: FloatArray) -> None:
    """Figures of one path into (assets, 5) `out`, in the order of `PathStatistics`, but drawdown and lowest as
    logarithms and time under water in steps.

    Parameters
    ----------
    returns : (assets, steps) log returns without NaN
    """
    assets, steps = returns.shape
    for a in range(assets):
        level, peak, fall, lowest = 0.0, 0.0, 0.0, np.inf
        wet, spell, longest = 0, 0, 0
        for t in range(steps):
            level += returns[a, t]
            peak = max(peak, level)
            fall = max(fall, peak - level)
            lowest = min(lowest, level)
            below = level < peak
            wet += below
            spell = (spell + 1) * below
            longest = max(longest, spell)
        out[a, 0], out[a, 1], out[a, 2], out[a, 3], out[a, 4] = level, fall, lowest, wet, longest


def statistics_of(figures: FloatArray, steps: int) -> PathStatistics:
    """The figures (paths, assets, 5) of `measure` in the units of `PathStatistics`."""
    end, fall, lowest, wet, longest = np.moveaxis(figures, 2, 0)
    return PathStatistics(end.copy(), -np.expm1(-fall), np.exp(lowest), wet / steps, longest.copy())


def in_shares(work: Callable[[int, int], None], paths: int, threads: int) -> None:
    """Call `work` with (first, end) of `threads` shares of the paths, side by side; it must release the lock.

    Threads of our own and not of the compiler: kernels may then be called from several threads of a server at once.
    """
    if threads <= 1:
        work(0, paths)
        return
    edges = [paths * share // threads for share in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, first, end) for first, end in pairwise(edges)]:
            done.result()
