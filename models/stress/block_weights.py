"""Where a block may start when the present regime should count: weights of the rows of a sample.

A row is as likely a start as its regime is in the simulated moment: the present regime at first, the long-run mix once
the chain has forgotten it. Only filtered probabilities are used, of the past as of the present.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MIN_EFFECTIVE_ROWS = 200.0
MOST_MOMENTS = 64  # at which weights are worked out along a path; in between they stand


@dataclass(frozen=True)
class RegimeHistory:
    """`probabilities` (n, states): filtered, of each row of the sample. `now` (states,): of the present. `move`
    (states, states): row i = probabilities of the next step's state if the present one is i."""

    probabilities: FloatArray
    now: FloatArray
    move: FloatArray


def moments_every(steps: int) -> int:
    """Steps between the moments at which the weights of a path of `steps` steps change."""
    return -(-steps // MOST_MOMENTS)


def start_weights(regimes: RegimeHistory, steps: int, power: float = 1.0) -> FloatArray:
    """Probability of each row to be the start of a block, at each moment of a path.

    Parameters
    ----------
    regimes : of the sample
    steps : of the path
    power : of the weights before they are made probabilities; 0.5 where volatility is scaled as well, so that the
        present is not counted twice

    Returns
    -------
    (moments, n), rows add up to 1; row m holds for steps m e to m e + e - 1, e = `moments_every(steps)`.

    Raises
    ------
    ValueError
        A probability is missing or negative, or shapes disagree.

    Notes
    -----
    w_s(j) ~ sum_k pi_k(j) gamma_s(k) / sum_u gamma_u(k), pi(j) = now move^(j + 1): the first simulated step is the
    next one. Where 1 / sum w^2 < 200 the weights are mixed with uniform ones until it is 200.
    """
    gamma, now, move = regimes.probabilities, regimes.now, regimes.move
    n, states = gamma.shape
    if now.shape != (states,) or move.shape != (states, states):
        raise ValueError(f"{states} states in the history, {now.shape} now, {move.shape} moves")
    if not all(np.isfinite(p).all() and (p >= 0).all() for p in (gamma, now, move)):
        raise ValueError("a probability of a regime is missing or negative")
    total = gamma.sum(axis=0)
    share = np.divide(gamma, total, out=np.full_like(gamma, 1.0 / n), where=total > 0)  # a state never seen: any row
    every = moments_every(steps)
    out = np.empty((-(-steps // every), n))
    leap, at = np.linalg.matrix_power(move, every), now @ move
    for moment in range(len(out)):
        out[moment] = _spread((share @ at) ** power)
        at = at @ leap
    return out


def _spread(weights: FloatArray) -> FloatArray:
    """Weights as probabilities, mixed with uniform ones until they speak for 200 rows (or for all there are)."""
    p, even = np.asarray(weights / weights.sum()), 1.0 / len(weights)
    wanted, found = max(1.0 / MIN_EFFECTIVE_ROWS, even), float(p @ p)
    if found <= wanted:
        return p
    keep = math.sqrt((wanted - even) / (found - even))  # sum of squares of the mixture: even + keep^2 (found - even)
    return np.asarray(even + keep * (p - even))
