"""Compiled recursions of the GARCH(1,1) model with Student-t innovations: likelihood, its gradient, the filter.

Plain functions of arrays; the fitting and the forecaster live in `garch.py`.
Model: r_t = mu + e_t, s2_t = omega + alpha e_{t-1}^2 + beta s2_{t-1}, e_t / sqrt(s2_t) a unit-variance t(nu)
(Bollerslev 1987).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@njit(cache=True)
def negative_log_likelihood(
    returns: FloatArray, start: float, mu: float, omega: float, alpha: float, beta: float, nu: float
) -> tuple[float, FloatArray]:
    """Mean negative log likelihood without its terms in nu alone, and the gradient of what is there.

    Parameters
    ----------
    returns : (n,) without NaN
    start : variance that stands for both s2 and e^2 before the first return

    Returns
    -------
    value
        mean of [ln s2_t + (nu + 1) ln(1 + e_t^2 / ((nu - 2) s2_t))] / 2.
    gradient : (5,), with respect to mu, omega, alpha, beta, nu.
    """
    n = len(returns)
    gradient = np.zeros(5)
    value = 0.0
    variance, shock = start, 0.0
    d_mu, d_omega, d_alpha, d_beta = 0.0, 0.0, 0.0, 0.0
    inverse = 1.0 / (nu - 2.0)
    for t in range(n):
        squared = start if t == 0 else shock * shock
        past = variance
        d_mu = beta * d_mu - (0.0 if t == 0 else 2.0 * alpha * shock)
        d_omega = 1.0 + beta * d_omega
        d_alpha = squared + beta * d_alpha
        d_beta = past + beta * d_beta
        variance = omega + alpha * squared + beta * past
        shock = returns[t] - mu
        ratio = shock * shock * inverse / variance
        tail = math.log1p(ratio)
        pull = (nu + 1.0) * ratio / (1.0 + ratio)
        value += 0.5 * (math.log(variance) + (nu + 1.0) * tail)
        by_variance = 0.5 * (1.0 - pull) / variance
        gradient[0] += by_variance * d_mu - (nu + 1.0) * shock * inverse / (variance * (1.0 + ratio))
        gradient[1] += by_variance * d_omega
        gradient[2] += by_variance * d_alpha
        gradient[3] += by_variance * d_beta
        gradient[4] += 0.5 * (tail - pull * inverse)
    return value / n, gradient / n


@njit(cache=True)
def next_variance(returns: FloatArray, start: float, mu: float, omega: float, alpha: float, beta: float) -> FloatArray:
    """(n,) variance of return t + 1 as seen after return t."""
    out = np.empty(len(returns))
    variance = omega + (alpha + beta) * start
    for t in range(len(returns)):
        shock = returns[t] - mu
        variance = omega + alpha * shock * shock + beta * variance
        out[t] = variance
    return out
