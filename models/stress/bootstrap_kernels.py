"""Compiled block bootstrap: one path at a time, block by block, and the figures of many paths without keeping any.

Plain functions of arrays; what is resampled and why is in `bootstrap.py`. Random numbers are spent per block, not per
step: path i is the same whoever simulates it, and a longer path begins as a shorter one does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.stress.counter_rng import philox, uniform
from models.stress.path_statistics import measure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCKS = np.uint64(1)  # stream of the counter: one draw of four words per block
GUIDES = 1024  # a power of two: a share of it is exact, and so is the place between two guides


class Sample(NamedTuple):
    """What blocks are cut from; asset by asset, so that a block is one run of memory.

    `deviation` (assets, n): returns less `mean` (assets,). `sigma` (assets, n): volatility known before each row, or
    (assets, 0) if blocks are not scaled. `stop` (n,): row before which a block that holds this one must end. `first`
    (runs,): first row of each run of neighbours.
    """

    deviation: FloatArray
    mean: FloatArray
    sigma: FloatArray
    stop: IntArray
    first: IntArray


class Course(NamedTuple):
    """How a path of one length goes.

    `length`: mean steps of a block, or its steps if `fixed`. `sigma` (assets, steps): volatility that a block starting
    there is brought to, or (assets, 0). `lowest`, `highest`: bounds of what it is multiplied by. `cumulative` (moments,
    n): of the start weights, each for `every` steps, or (0, n) for uniform ones. `guide` (moments, GUIDES + 1): row at
    each share k / GUIDES of a moment's weights, between two of which a row is looked for.
    """

    length: float
    fixed: bool
    sigma: FloatArray
    lowest: float
    highest: float
    cumulative: FloatArray
    guide: IntArray
    every: int


@njit(cache=True, nogil=True, inline="always")  # a call would count references to every array it is handed
def _start(
    stop: IntArray, firsts: IntArray, course: Course, cumulative: FloatArray, guide: IntArray, step: int, u: float
) -> int:
    """Row at which a block starts.

    A row is reached from its own start and from those before it; the first rows of a run have none before them. A
    random block length therefore makes the very first row start `length` times as often: then all rows are equally
    likely, as if blocks had wrapped around, and no end of a run has met a beginning.
    """
    n = len(stop)
    if len(cumulative) > 0:
        moment, share = step // course.every, int(u * GUIDES)
        weights, low, high = cumulative[moment], guide[moment, share], guide[moment, share + 1]
        return int(min(low + np.searchsorted(weights[low:high], u * weights[n - 1], side="right"), n - 1))
    extra = 0.0 if course.fixed or step == 0 else course.length - 1.0
    place = u * (n + extra * len(firsts))
    if place < n:
        return int(place)
    return int(firsts[min(int((place - n) / extra), len(firsts) - 1)])


@njit(cache=True, nogil=True)
def fill_path(sample: Sample, course: Course, key: np.uint64, path: int, returns: FloatArray) -> None:
    """Log returns of path number `path` into (assets, steps) `returns`."""
    assets, steps = returns.shape
    deviation, known, stop, firsts = sample.deviation, sample.sigma, sample.stop, sample.first
    sigma, cumulative, guide = course.sigma, course.cumulative, course.guide
    scaled = sigma.shape[1] > 0
    leave = 0.0 if course.fixed else math.log1p(-1.0 / course.length) if course.length > 1.0 else -np.inf
    step, number = 0, np.uint64(0)
    while step < steps:
        a, b, c, d = philox(key, number, BLOCKS, np.uint64(path))
        row = _start(stop, firsts, course, cumulative, guide, step, uniform(a, b))
        length = course.length if course.fixed else 1.0 + math.floor(math.log1p(-uniform(c, d)) / leave)
        end = min(int(min(length, float(steps - step))), stop[row] - row) + step
        for asset in range(assets):
            mean, ratio = sample.mean[asset], 1.0
            if scaled:
                ratio = sigma[asset, step] / known[asset, row]
                ratio = min(max(ratio, course.lowest), course.highest)
            block, target = deviation[asset, row : row + end - step], returns[asset, step:end]
            for t in range(len(target)):
                target[t] = mean + ratio * block[t]
        step, number = end, number + np.uint64(1)


@njit(cache=True, nogil=True)
def fill_paths(sample: Sample, course: Course, key: np.uint64, first: int, out: FloatArray) -> None:
    """Paths first, first + 1, ... into (paths, assets, steps) `out`."""
    for i in range(len(out)):
        fill_path(sample, course, key, first + i, out[i])


@njit(cache=True, nogil=True)
def fill_figures(sample: Sample, course: Course, key: np.uint64, first: int, steps: int, out: FloatArray) -> None:
    """Figures of paths first, first + 1, ... into (paths, assets, figures) `out`; see `path_statistics.measure`."""
    returns = np.empty((out.shape[1], steps))
    for i in range(len(out)):
        fill_path(sample, course, key, first + i, returns)
        measure(returns, out[i])
