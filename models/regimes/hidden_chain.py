"""Compiled recursions of a hidden Markov chain with normal emissions: filter and one step of its estimation.

Plain functions of arrays; what a state means and how parameters are found is in `chain.py`. Scaled recursions
(Rabiner 1989): every forward row is a probability, so no length of series underflows, and the densities of a day are
divided by their largest, so no outlier does. A missing day (NaN) carries the prediction: its density is 1 in every
state. Smoothed probabilities exist only inside `em_step`; nothing that is published comes from them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@njit(cache=True, nogil=True)
def _densities(x: FloatArray, mean: FloatArray, sd: float, evidence: float) -> tuple[FloatArray, FloatArray]:
    """(n, k) densities to the power `evidence`, over the largest of their row, and (n,) the log of that largest."""
    n, k = len(x), len(mean)
    out, scale = np.ones((n, k)), np.zeros(n)
    constant = math.log(sd) + 0.5 * math.log(2.0 * math.pi)
    for t in range(n):
        if np.isnan(x[t]):
            continue
        largest = -np.inf
        for j in range(k):
            z = (x[t] - mean[j]) / sd
            out[t, j] = -evidence * (0.5 * z * z + constant)
            largest = max(largest, out[t, j])
        scale[t] = largest
        for j in range(k):
            out[t, j] = math.exp(out[t, j] - largest)
    return out, scale


@njit(cache=True, nogil=True)
def _forward(density: FloatArray, start: FloatArray, move: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(n, k) filtered probabilities and (n,) their normalising sums."""
    n, k = density.shape
    filtered, total = np.empty((n, k)), np.zeros(n)
    for t in range(n):
        for j in range(k):
            predicted = start[j]
            if t > 0:
                predicted = 0.0
                for i in range(k):
                    predicted += filtered[t - 1, i] * move[i, j]
            filtered[t, j] = predicted * density[t, j]
            total[t] += filtered[t, j]
        for j in range(k):
            filtered[t, j] /= total[t]
    return filtered, total


@njit(cache=True, nogil=True)
def filter_chain(
    x: FloatArray, start: FloatArray, move: FloatArray, mean: FloatArray, sd: float, evidence: float = 1.0
) -> tuple[FloatArray, float]:
    """Probability of each state on each day, from the days up to it.

    Parameters
    ----------
    x : (n,), NaN = missing
    start : (k,) probabilities of the first day's state before it is seen, all > 0
    move : (k, k), row i = probabilities of tomorrow's state if today's is i, all > 0
    mean : (k,) of x in each state; sd : its spread in every state, > 0
    evidence : power of each day's density, 1 = days are independent given their states

    Returns
    -------
    filtered : (n, k), each row sums to 1; row t depends on x[: t + 1] alone
    log_likelihood : of the days that are there
    """
    density, scale = _densities(x, mean, sd, evidence)
    filtered, total = _forward(density, start, move)
    return filtered, float(np.log(total).sum() + scale.sum())


@njit(cache=True, nogil=True)
def em_step(
    x: FloatArray,
    start: FloatArray,
    move: FloatArray,
    mean: FloatArray,
    sd: float,
    evidence: float,
    prior_moves: FloatArray,
    prior_mean: float,
    prior_sd: float,
    prior_days: float,
) -> tuple[FloatArray, FloatArray, float, float]:
    """One Baum-Welch step towards the mode of the posterior.

    Parameters
    ----------
    x, start, move, mean, sd, evidence : as in `filter_chain`
    prior_moves : (k, k) moves seen before the data (Dirichlet parameters less one), > 0
    prior_mean, prior_sd, prior_days : days seen before the data in every state, all of that mean and spread

    Returns
    -------
    move, mean, sd
        after the step, shapes as given.
    log_posterior : of the parameters that were given, up to a constant; a step never lowers it.
    """
    n, k = len(x), len(mean)
    density, scale = _densities(x, mean, sd, evidence)
    filtered, total = _forward(density, start, move)
    moves = prior_moves.copy()
    weight, first = np.full(k, prior_days), np.full(k, prior_days * prior_mean)
    second = k * prior_days * (prior_sd * prior_sd + prior_mean * prior_mean)
    ahead, before = np.ones(k), np.empty(k)
    for t in range(n - 1, -1, -1):
        if not np.isnan(x[t]):
            for j in range(k):
                smoothed = evidence * filtered[t, j] * ahead[j]
                weight[j] += smoothed
                first[j] += smoothed * x[t]
                second += smoothed * x[t] * x[t]
        if t == 0:
            break
        for i in range(k):
            before[i] = 0.0
            for j in range(k):
                step = move[i, j] * density[t, j] * ahead[j] / total[t]
                before[i] += step
                moves[i, j] += filtered[t - 1, i] * step
        ahead[:] = before
    log_posterior = np.log(total).sum() + scale.sum() + (prior_moves * np.log(move)).sum()
    for j in range(k):
        gap = mean[j] - prior_mean
        log_posterior -= prior_days * (math.log(sd) + 0.5 * (prior_sd * prior_sd + gap * gap) / (sd * sd))
    new_mean = first / weight
    new_variance = (second - (weight * new_mean * new_mean).sum()) / weight.sum()
    new_move = np.empty((k, k))
    for i in range(k):
        new_move[i] = moves[i] / moves[i].sum()
    return new_move, new_mean, math.sqrt(max(new_variance, 0.0)), float(log_posterior)
