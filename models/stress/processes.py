"""Small stochastic processes shared by the simulators: persistent log volatility, heavy tails, ranges, regimes.

Pure functions on arrays. A process goes on from the state it is given, so that blocks join without a seam.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]


def persistence(half_life: float) -> float:
    """AR(1) coefficient under which a shock has halved after `half_life` steps."""
    return float(0.5 ** (1.0 / half_life))


def autoregress(shocks: Array, half_life: float, state: float) -> Array:
    """First-order autoregression y_t = phi y_{t-1} + shock_t.

    Parameters
    ----------
    shocks : shape (n,), no NaN.
    half_life : steps.
    state : y before the first step.

    Returns
    -------
    Array of shape (n,); its last value is the state of the next block.
    """
    phi = persistence(half_life)
    filtered: Array = lfilter([1.0], [1.0, -phi], shocks, zi=np.array([phi * state]))[0]
    return filtered


def stationary_shock(half_life: float, deviation: float) -> float:
    """Standard deviation of the shocks under which the autoregression has standard deviation `deviation`."""
    return float(deviation * np.sqrt(1.0 - persistence(half_life) ** 2))


def heavy_tailed(rng: np.random.Generator, n: int, degrees: float, bound: float = 10.0) -> Array:
    """Student-t draws of unit variance, cut off at +-`bound` so that no single step decides a whole market."""
    draws: Array = rng.standard_t(degrees, n) * np.sqrt((degrees - 2.0) / degrees)
    return np.clip(draws, -bound, bound)


def surprise(shocks: Array) -> Array:
    """|z| - E|z| of a standard normal: what feeds back into volatility (EGARCH, Nelson 1991)."""
    return np.asarray(np.abs(shocks) - np.sqrt(2.0 / np.pi), dtype=np.float64)


def markov_states(uniforms: Array, transitions: Array, state: int) -> NDArray[np.int64]:
    """States of a Markov chain after each step.

    Parameters
    ----------
    uniforms : shape (n,), in [0, 1).
    transitions : shape (k, k), rows add up to 1.
    state : before the first step.
    """
    ladder = np.cumsum(transitions, axis=1)
    states = np.empty(len(uniforms), dtype=np.int64)
    for t, u in enumerate(uniforms):
        state = min(int(np.searchsorted(ladder[state], u, side="right")), len(ladder) - 1)
        states[t] = state
    return states


def bridge_extremes(log_return: Array, sigma: Array, u_high: Array, u_low: Array) -> tuple[Array, Array]:
    """Highest and lowest log price within a step, relative to its start.

    The maximum of a Brownian bridge from 0 to r with variance s^2 is (r + sqrt(r^2 - 2 s^2 ln U)) / 2 in law; the
    minimum is its mirror. They are drawn independently, which makes ranges slightly too wide.

    Parameters
    ----------
    log_return, sigma, u_high, u_low : shape (n,); uniforms in (0, 1].

    Returns
    -------
    high, low : shape (n,), high >= max(0, r) and low <= min(0, r).
    """
    up = np.sqrt(log_return**2 - 2.0 * sigma**2 * np.log(u_high))
    down = np.sqrt(log_return**2 - 2.0 * sigma**2 * np.log(u_low))
    return (log_return + up) / 2.0, (log_return - down) / 2.0
