"""GJR-GARCH(1,1) of unit long-run variance: a shock raises variance, a fall by more, and both are forgotten.

Plain functions of arrays. y_t = sqrt(h_t) z_t, h_t = omega + (alpha + gamma 1[y_{t-1} < 0]) y_{t-1}^2 + beta h_{t-1},
omega such that h is 1 on average (Glosten, Jagannathan & Runkle 1993; variance targeting of Engle & Mezrich 1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import optimize

FloatArray = NDArray[np.float64]

CAP = 400.0  # of the variance, in units of its long run: where a simulated path stops feeding on itself
MAX_PERSISTENCE = 0.999
NU_RANGE = (2.2, 100.0)
STARTS = ((0.05, 0.02, 0.90, 5.0), (0.10, 0.00, 0.70, 5.0))  # slow and fast forgetting: the likelihood has two tops
OPTIMISER = {"maxiter": 600, "xatol": 1e-4, "fatol": 1e-7}


@dataclass(frozen=True, slots=True)
class Gjr:
    """`falls`: share of the variance that comes from falls, 1/2 if the law is symmetric."""

    alpha: float
    gamma: float
    beta: float
    nu: float
    falls: float

    @property
    def persistence(self) -> float:
        return self.alpha + self.gamma * self.falls + self.beta

    @property
    def omega(self) -> float:
        return 1.0 - self.persistence


@njit(cache=True, nogil=True)
def next_variance(y: float, h: float, omega: float, alpha: float, gamma: float, beta: float) -> float:
    """h of the step after one with value y and variance h."""
    weight = alpha + gamma if y < 0.0 else alpha
    return min(omega + weight * y * y + beta * h, CAP)


@njit(cache=True, nogil=True)
def variance_path(y: FloatArray, omega: float, alpha: float, gamma: float, beta: float) -> FloatArray:
    """(n + 1,) variance known before each of the (n,) values and after the last; 1 before the first."""
    out = np.empty(len(y) + 1)
    out[0] = 1.0
    for t in range(len(y)):
        out[t + 1] = next_variance(y[t], out[t], omega, alpha, gamma, beta)
    return out


def fit_gjr(y: FloatArray) -> Gjr:
    """Student-t maximum likelihood of (n,) values of unit variance, without NaN.

    Notes
    -----
    Nelder-Mead from two starts; no draw of chance. Checked against the `arch` package in the tests.
    """
    falls = float((y[y < 0.0] ** 2).sum() / (y**2).sum())

    def of(free: FloatArray) -> Gjr:
        alpha, gamma, beta, nu = free.tolist()
        return Gjr(alpha, gamma, beta, nu, falls)

    def loss(free: FloatArray) -> float:
        found = of(free)
        return negative_log_likelihood(y, found) if _allowed(found) else math.inf

    tried = [optimize.minimize(loss, start, method="Nelder-Mead", options=OPTIMISER) for start in STARTS]
    return of(min(tried, key=lambda one: float(one.fun)).x)


def negative_log_likelihood(y: FloatArray, gjr: Gjr) -> float:
    """Mean over (n,) values."""
    h = variance_path(y, gjr.omega, gjr.alpha, gjr.gamma, gjr.beta)[:-1]
    nu = gjr.nu
    constant = math.lgamma((nu + 1.0) / 2.0) - math.lgamma(nu / 2.0) - math.log(math.pi * (nu - 2.0)) / 2.0
    return float(np.mean(np.log(h) + (nu + 1.0) * np.log1p(y**2 / (h * (nu - 2.0)))) / 2.0 - constant)


def _allowed(gjr: Gjr) -> bool:
    shocks = gjr.alpha >= 0.0 and gjr.alpha + gjr.gamma >= 0.0 and gjr.beta >= 0.0
    return shocks and gjr.persistence <= MAX_PERSISTENCE and NU_RANGE[0] <= gjr.nu <= NU_RANGE[1]
