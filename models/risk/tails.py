"""Tail of a sample of returns: value at risk and expected shortfall by its quantiles or by a law that is fitted to it.

All functions answer with (VaR, ES): losses, positive, in the units of the sample. `level` is the share of returns that
may lie beyond the VaR: 0.01 for VaR99. A NaN in a sample is an error of the caller. Paths of forecasts over time are
in `var` and `methods`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

FloatArray = NDArray[np.float64]

FREEDOM_BOUNDS = (2.1, 200.0)  # below 2 a variance does not exist, and ours was forecast; above 200 it is a normal law
MOST_REPEATED = 0.5  # share of one value beyond which the likelihood of a continuous law has no maximum


@dataclass(frozen=True, slots=True)
class StudentT:
    """x = location + scale T, T with `freedom` degrees of freedom; `scale` is not the standard deviation."""

    freedom: float
    location: float
    scale: float

    def tail(self, level: float) -> tuple[float, float]:
        """VaR and ES, closed form (McNeil, Frey & Embrechts 2015, eq. 2.25)."""
        quantile = float(special.stdtrit(self.freedom, level))
        density = float(stats.t.pdf(quantile, self.freedom))
        shortfall = density / level * (self.freedom + quantile**2) / (self.freedom - 1.0)
        return -(self.location + self.scale * quantile), self.scale * shortfall - self.location


def historical_tail(sample: FloatArray, level: float) -> tuple[float, float]:
    """Lower quantile (linear between order statistics) and mean of what lies at or below it; `sample` (n,), n > 0."""
    cut = float(np.quantile(sample, level))
    return -cut, -float(sample[sample <= cut].mean())


def gaussian_tail(mean: float, deviation: float, level: float) -> tuple[float, float]:
    """Tail of a normal law with this mean and standard deviation."""
    quantile = float(special.ndtri(level))
    return -(mean + deviation * quantile), deviation * float(stats.norm.pdf(quantile)) / level - mean


def cornish_fisher_tail(mean: float, deviation: float, skew: float, excess: float, level: float) -> tuple[float, float]:
    """Tail of a normal law bent to a skewness and an excess kurtosis.

    Returns
    -------
    VaR and the mean of the bent quantiles beyond it; (NaN, NaN) where the bend folds the quantiles over, as it does for
    an excess kurtosis of 8 and more: there is no such law then.

    Notes
    -----
    Cornish & Fisher (1938); the integral of the quantiles is Maillard's (2012).
    """
    x = float(special.ndtri(level))
    a, b, c = excess / 8.0 - skew**2 / 6.0, skew / 3.0, 1.0 - excess / 8.0 + 5.0 * skew**2 / 36.0
    # The slope a x^2 + b x + c of the bent quantiles must not be negative anywhere.
    if c < 0 or a < 0 or b**2 > 4.0 * a * c:
        return math.nan, math.nan
    bent = x + (x**2 - 1) * skew / 6 + (x**3 - 3 * x) * excess / 24 - (2 * x**3 - 5 * x) * skew**2 / 36
    factor = 1 + x * skew / 6 + (x**2 - 1) * excess / 24 + (1 - 2 * x**2) * skew**2 / 36
    return -(mean + deviation * bent), deviation * float(stats.norm.pdf(x)) / level * factor - mean


def fit_student_t(sample: FloatArray) -> StudentT | None:
    """Student's t by maximum likelihood, degrees of freedom within `FREEDOM_BOUNDS`.

    Parameters
    ----------
    sample : (n,) finite values

    Returns
    -------
    None where over half of the values are the same (a rate that stood still), or there are none.
    """
    if len(sample) == 0 or np.unique(sample, return_counts=True)[1].max() > MOST_REPEATED * len(sample):
        return None
    unit = float(sample.std())
    x = sample / unit
    start = np.array([float(np.median(x)), math.log(0.8), math.log(5.0)])
    bounds = [(None, None), (math.log(1e-4), None), tuple(math.log(bound) for bound in FREEDOM_BOUNDS)]
    found = optimize.minimize(_loss_and_slope, start, args=(x,), jac=True, method="L-BFGS-B", bounds=bounds).x
    return StudentT(float(np.exp(found[2])), float(found[0]) * unit, float(np.exp(found[1])) * unit)


def _loss_and_slope(parameters: FloatArray, x: FloatArray) -> tuple[float, FloatArray]:
    """Minus the mean log-likelihood, and its slope, over location, ln scale, ln degrees of freedom."""
    location, log_scale, log_freedom = parameters
    scale, v = math.exp(log_scale), math.exp(log_freedom)
    u = (x - location) / scale
    spread = v + u**2
    logs = np.log1p(u**2 / v)
    constant = special.gammaln((v + 1) / 2) - special.gammaln(v / 2) - 0.5 * math.log(v * math.pi) - log_scale
    loss = -(constant - (v + 1) / 2 * logs.mean())
    by_freedom = (special.digamma((v + 1) / 2) - special.digamma(v / 2) - 1 / v - logs.mean()) / 2
    by_freedom += (v + 1) / (2 * v) * (u**2 / spread).mean()
    slope = [
        (v + 1) * (u / spread).mean() / scale,
        (v + 1) * (u**2 / spread).mean() - 1.0,
        by_freedom * v,
    ]
    return float(loss), -np.array(slope)
