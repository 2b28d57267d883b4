"""Compiled simulation of the regime generator: a chain of states, and inside them variance that clusters.

Plain functions of arrays; the model and its fit are in `regime_generator.py`. A draw of the counter serves two
steps: one word for the state, one for the row.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.stress.counter_rng import below, philox
from models.stress.gjr import CAP
from models.stress.path_statistics import measure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STEPS = np.uint64(2)  # stream of the counter
TO_UNIT = 2.0**-32


class Law(NamedTuple):
    """What moves the returns.

    `move` (states, states): cumulative along rows. `residual` (assets, n): rows state by state, those of state k from
    `offset[k]` to `offset[k + 1]`. `feedback` (assets, n): what variance inside states is multiplied by after the row,
    before `omega` (assets,) is added. `level` (assets, states): variance of a step. `mean`, `memory` (assets,): of
    returns and of their neighbours. `cap` (assets,): the largest variance.
    """

    move: FloatArray
    offset: IntArray
    residual: FloatArray
    feedback: FloatArray
    level: FloatArray
    mean: FloatArray
    memory: FloatArray
    omega: FloatArray
    cap: FloatArray


class Start(NamedTuple):
    """Where paths come from: cumulative probabilities (1, states) of the step before the first, its deviation from the
    mean (assets,), the variance inside states (assets,) of the first step, and steps that are not shown."""

    state: FloatArray
    deviation: FloatArray
    variance: FloatArray
    burn_in: int


@njit(cache=True, nogil=True)
def _next_state(cumulative: FloatArray, state: int, word: np.uint64) -> int:
    u = np.float64(word) * TO_UNIT
    last = cumulative.shape[1] - 1
    for k in range(last):
        if u < cumulative[state, k]:
            return k
    return int(last)


@njit(cache=True, nogil=True)
def fill_path(law: Law, start: Start, key: np.uint64, path: int, returns: FloatArray) -> None:
    """Log returns of path number `path` into (assets, steps) `returns`."""
    assets, steps = returns.shape
    variance, deviation = start.variance.copy(), start.deviation.copy()
    a, b, c, d = philox(key, np.uint64(0), STEPS, np.uint64(path))
    state = _next_state(start.state, 0, a)
    for step in range(start.burn_in + steps):
        if step % 2 == 0:
            a, b, c, d = philox(key, np.uint64(step // 2 + 1), STEPS, np.uint64(path))
        else:
            a, b = c, d
        state = _next_state(law.move, state, a)
        first = law.offset[state]
        row = first + np.int64(below(b, np.uint64(law.offset[state + 1] - first)))
        for i in range(assets):
            h = variance[i]
            shock = math.sqrt(min(law.level[i, state] * h, law.cap[i])) * law.residual[i, row]
            deviation[i] = law.memory[i] * deviation[i] + shock
            variance[i] = min(law.omega[i] + law.feedback[i, row] * h, CAP)
            if step >= start.burn_in:
                returns[i, step - start.burn_in] = law.mean[i] + deviation[i]


@njit(cache=True, nogil=True)
def fill_paths(law: Law, start: Start, key: np.uint64, first: int, out: FloatArray) -> None:
    """Paths first, first + 1, ... into (paths, assets, steps) `out`."""
    for i in range(len(out)):
        fill_path(law, start, key, first + i, out[i])


@njit(cache=True, nogil=True)
def fill_figures(law: Law, start: Start, key: np.uint64, first: int, steps: int, out: FloatArray) -> None:
    """Figures of paths first, first + 1, ... into (paths, assets, figures) `out`; see `path_statistics.measure`."""
    returns = np.empty((out.shape[1], steps))
    for i in range(len(out)):
        fill_path(law, start, key, first + i, returns)
        measure(returns, out[i])
