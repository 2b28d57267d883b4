"""Compiled simulation of the regime generator: a chain of states, and inside them variance that clusters.

Plain functions of arrays; the model and its fit are in `regime_generator.py`. One draw of the counter a step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.stress.counter_rng import below, philox, uniform
from models.stress.gjr import next_variance
from models.stress.path_statistics import measure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STEPS = np.uint64(2)  # stream of the counter


class Law(NamedTuple):
    """What moves the returns.

    `move` (states, states): cumulative along rows. `rows` (n,): of the residuals, state by state, from `offset`
    (states + 1,) on. `residual` (assets, n). `level` (assets, states): variance of a step. `mean`, `memory`: of returns
    and of their neighbours, (assets,) each, as `omega`, `alpha`, `gamma`, `beta` of the variance inside states and
    `cap`, the largest variance.
    """

    move: FloatArray
    rows: IntArray
    offset: IntArray
    residual: FloatArray
    level: FloatArray
    mean: FloatArray
    memory: FloatArray
    omega: FloatArray
    alpha: FloatArray
    gamma: FloatArray
    beta: FloatArray
    cap: FloatArray


class Start(NamedTuple):
    """Where paths come from: cumulative probabilities (states,) of the step before the first, its deviation from the
    mean (assets,), the variance inside states (assets,) of the first step, and steps that are not shown."""

    state: FloatArray
    deviation: FloatArray
    variance: FloatArray
    burn_in: int


@njit(cache=True, nogil=True)
def _pick(cumulative: FloatArray, u: float) -> int:
    for k in range(len(cumulative) - 1):
        if u < cumulative[k]:
            return k
    return len(cumulative) - 1


@njit(cache=True, nogil=True)
def fill_path(law: Law, start: Start, key: np.uint64, path: int, returns: FloatArray) -> None:
    """Log returns of path number `path` into (assets, steps) `returns`."""
    assets, steps = returns.shape
    variance, deviation = start.variance.copy(), start.deviation.copy()
    a, b, _, _ = philox(key, np.uint64(0), STEPS, np.uint64(path))
    state = _pick(start.state, uniform(a, b))
    for step in range(start.burn_in + steps):
        a, b, c, _ = philox(key, np.uint64(step + 1), STEPS, np.uint64(path))
        state = _pick(law.move[state], uniform(a, b))
        first, end = law.offset[state], law.offset[state + 1]
        row = law.rows[first + np.int64(below(c, np.uint64(end - first)))]
        for i in range(assets):
            z, h = law.residual[i, row], variance[i]
            shock = math.sqrt(min(law.level[i, state] * h, law.cap[i])) * z
            deviation[i] = law.memory[i] * deviation[i] + shock
            variance[i] = next_variance(math.sqrt(h) * z, h, law.omega[i], law.alpha[i], law.gamma[i], law.beta[i])
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
