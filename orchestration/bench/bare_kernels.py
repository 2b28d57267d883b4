"""Compiled kernels that only draw rows, add them up and keep the drawdown: what a bootstrap cannot do without.

They are what the generators of stress paths are measured against. One path after the other, end and largest drawdown
of each, cheap random numbers (splitmix64, Steele, Lea & Flood 2014) that depend on what was drawn before.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
HALF = np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def _word(state: np.uint64) -> np.uint64:
    """32 random bits of a state, which grows by GOLDEN from draw to draw."""
    mixed = (state ^ (state >> np.uint64(30))) * MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * MIX[1]
    return (mixed ^ (mixed >> np.uint64(31))) >> HALF


@njit(cache=True, nogil=True)
def draw_each_step(returns: FloatArray, steps: int, seed: int, out: FloatArray) -> None:
    """(n,) returns, a row of its own for each step; log return and log drawdown into (paths, 2) `out`."""
    rows, state = np.uint64(len(returns)), np.uint64(seed)
    for path in range(len(out)):
        level, peak, fall = 0.0, 0.0, 0.0
        for _ in range(steps):
            state += GOLDEN
            level += returns[np.int64((_word(state) * rows) >> HALF)]
            peak = max(peak, level)
            fall = max(fall, peak - level)
        out[path, 0], out[path, 1] = level, fall


@njit(cache=True, nogil=True)
def draw_each_step_by_numpy(returns: FloatArray, steps: int, seed: int, out: FloatArray) -> None:
    """As `draw_each_step`, with the random numbers that one has at hand in compiled code (Mersenne Twister)."""
    np.random.seed(seed)  # noqa: NPY002  the only generator that compiled code finds without being handed one
    for path in range(len(out)):
        level, peak, fall = 0.0, 0.0, 0.0
        for _ in range(steps):
            level += returns[np.random.randint(0, len(returns))]  # noqa: NPY002
            peak = max(peak, level)
            fall = max(fall, peak - level)
        out[path, 0], out[path, 1] = level, fall


@njit(cache=True, nogil=True)
def draw_each_block(returns: FloatArray, length: int, steps: int, seed: int, out: FloatArray) -> None:
    """The same in blocks of `length` rows that wrap around; `returns` are followed by their first `length` rows."""
    rows, state = np.uint64(len(returns) - length), np.uint64(seed)
    for path in range(len(out)):
        level, peak, fall = 0.0, 0.0, 0.0
        for step in range(0, steps, length):
            state += GOLDEN
            first = np.int64((_word(state) * rows) >> HALF)
            for row in range(first, first + min(length, steps - step)):
                level += returns[row]
                peak = max(peak, level)
                fall = max(fall, peak - level)
        out[path, 0], out[path, 1] = level, fall


@njit(cache=True, nogil=True)
def drawdown_of(returns: FloatArray) -> FloatArray:
    """(2,) log return and log drawdown of one path of (steps,) returns: the statistic that others are handed."""
    level, peak, fall = 0.0, 0.0, 0.0
    for value in returns:
        level += value
        peak = max(peak, level)
        fall = max(fall, peak - level)
    return np.array([level, fall])
