"""Compiled recursions of (GJR-)GARCH(1,1) with Student-t innovations: likelihood, its gradient, the filter.

Plain functions of arrays; the fitting and the forecasters live in `garch.py`.
Model: r_t = mu + e_t, s2_t = omega + alpha e_{t-1}^2 + gamma min(e_{t-1}, 0)^2 + beta s2_{t-1}, e_t / sqrt(s2_t) a
unit-variance t(nu) (Glosten, Jagannathan & Runkle 1993). With gamma = 0 it is GARCH (Bollerslev 1987).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@njit(cache=True, error_model="numpy")  # no variance is zero: looking before each division costs as much as gamma does
def negative_log_likelihood(
    returns: FloatArray, start: float, mu: float, omega: float, alpha: float, beta: float, nu: float, gamma: float
) -> tuple[float, FloatArray]:
    """Mean negative log likelihood without its terms in nu alone, and the gradient of what is there.

    Parameters
    ----------
    returns : (n,) without NaN
    start : variance that stands for both s2 and e^2 before the first return, half of it for a fall

    Returns
    -------
    value
        mean of [ln s2_t + (nu + 1) ln(1 + e_t^2 / ((nu - 2) s2_t))] / 2.
    gradient : (6,), with respect to mu, omega, alpha, beta, nu, gamma.
    """
    n = len(returns)
    value = 0.0
    by_mu, by_omega, by_alpha, by_beta, by_nu, by_gamma = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    d_mu, d_omega, d_alpha, d_beta, d_gamma = 0.0, 0.0, 0.0, 0.0, 0.0  # of the variance
    variance, squared, fallen, slope = start, start, 0.5 * start, 0.0
    inverse = 1.0 / (nu - 2.0)
    for t in range(n):
        past = variance
        d_mu = beta * d_mu - slope
        d_omega = 1.0 + beta * d_omega
        d_alpha = squared + beta * d_alpha
        d_beta = past + beta * d_beta
        d_gamma = fallen + beta * d_gamma
        variance = omega + alpha * squared + gamma * fallen + beta * past
        shock = returns[t] - mu
        fall = min(shock, 0.0)
        squared, fallen = shock * shock, fall * fall
        slope = 2.0 * (alpha * shock + gamma * fall)
        ratio = squared * inverse / variance
        tail = math.log1p(ratio)
        pull = (nu + 1.0) * ratio / (1.0 + ratio)
        value += 0.5 * (math.log(variance) + (nu + 1.0) * tail)
        by_variance = 0.5 * (1.0 - pull) / variance
        by_mu += by_variance * d_mu - (nu + 1.0) * shock * inverse / (variance * (1.0 + ratio))
        by_omega += by_variance * d_omega
        by_alpha += by_variance * d_alpha
        by_beta += by_variance * d_beta
        by_nu += 0.5 * (tail - pull * inverse)
        by_gamma += by_variance * d_gamma
    return value / n, np.array([by_mu, by_omega, by_alpha, by_beta, by_nu, by_gamma]) / n


@njit(cache=True)
def next_variance(
    returns: FloatArray, start: float, mu: float, omega: float, alpha: float, beta: float, gamma: float
) -> FloatArray:
    """(n,) variance of return t + 1 as seen after return t."""
    out = np.empty(len(returns))
    variance = omega + (alpha + 0.5 * gamma + beta) * start
    for t in range(len(returns)):
        shock = returns[t] - mu
        fall = min(shock, 0.0)
        variance = omega + alpha * shock * shock + gamma * fall * fall + beta * variance
        out[t] = variance
    return out
