"""How long a block of a bootstrap must be: automatic choice of Politis & White, made on absolute returns.

Returns themselves hardly correlate, so a length chosen on them is a few days and breaks the clustering of volatility
that a drawdown is made of. Absolute returns carry it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SHORTEST = 5.0
LONGEST_SHARE = 1.0 / 8.0  # of the sample: fewer than eight blocks are no resampling
CRITICAL = 2.0  # of the correlogram, in units of sqrt(log10 n / n)
MIN_SILENT_LAGS = 5


@dataclass(frozen=True, slots=True)
class BlockLength:
    """Expected block length of the stationary and length of the circular bootstrap, in steps, not rounded."""

    stationary: float
    circular: float


def optimal_block_length(values: FloatArray) -> BlockLength:
    """Block lengths that minimise the mean squared error of the bootstrap variance of the mean.

    Parameters
    ----------
    values : (n,) without NaN, n >= 10

    Returns
    -------
    Lengths up to ceil(min(3 sqrt n, n / 3)); 0 where nothing correlates, or nothing moves.

    Raises
    ------
    ValueError
        NaN among `values`, or fewer than 10 of them.

    Notes
    -----
    Politis & White (2004) with the variance of the stationary bootstrap of Patton, Politis & White (2009): with the
    flat-top window l over lags |k| <= m, G = sum l |k| R(k) and g = sum l R(k) give
    b = (2 G^2 / D)^(1/3) n^(1/3), D = 2 g^2 (stationary) or 4/3 g^2 (circular). m is twice the first of five lags in
    a row that do not differ from 0 (the authors' program; their text says one lag less).
    """
    n = len(values)
    if n < 10 or not np.isfinite(values).all():
        raise ValueError(f"a block length needs 10 values or more and none missing: got {n}")
    silent = max(MIN_SILENT_LAGS, int(np.sqrt(np.log10(n))))
    lags = int(np.ceil(np.sqrt(n))) + silent
    covariance, correlation = _correlogram(values - values.mean(), min(lags, n - 2))
    m = min(2 * _first_silent_lag(correlation, silent, CRITICAL * np.sqrt(np.log10(n) / n)), len(covariance) - 1)
    k = np.arange(1, m + 1)
    window = np.where(k <= m / 2, 1.0, 2.0 * (1.0 - k / m))
    tilt = float(2.0 * (window * k * covariance[1 : m + 1]).sum())
    level = float(covariance[0] + 2.0 * (window * covariance[1 : m + 1]).sum())
    longest = float(np.ceil(min(3.0 * np.sqrt(n), n / 3.0)))

    def length(denominator: float) -> float:
        return min((2.0 * tilt**2 / denominator * n) ** (1.0 / 3.0), longest) if denominator > 0 else 0.0

    return BlockLength(length(2.0 * level**2), length(4.0 / 3.0 * level**2))


def block_length(returns: FloatArray) -> BlockLength:
    """Block lengths for resampling returns: chosen on their absolute values, within [5, n / 8] steps.

    Parameters
    ----------
    returns : (n,) of one asset or (n, assets), without NaN. All assets are resampled by one set of blocks: their
        median length.

    Raises
    ------
    ValueError
        As `optimal_block_length`.
    """
    columns = np.abs(returns.reshape(len(returns), -1))
    found = [optimal_block_length(columns[:, a]) for a in range(columns.shape[1])]
    longest = max(SHORTEST, len(returns) * LONGEST_SHARE)

    def within(lengths: list[float]) -> float:
        return float(np.clip(np.median(lengths), SHORTEST, longest))

    return BlockLength(within([b.stationary for b in found]), within([b.circular for b in found]))


def _correlogram(deviations: FloatArray, lags: int) -> tuple[FloatArray, FloatArray]:
    """Autocovariances (lags + 1,) over n, and absolute correlations of the overlapping parts, 0 where one stands
    still."""
    n = len(deviations)
    products = np.array([deviations[k:] @ deviations[: n - k] for k in range(lags + 1)])
    ends = np.array(
        [
            np.sqrt((deviations[k:] @ deviations[k:]) * (deviations[: n - k] @ deviations[: n - k]))
            for k in range(lags + 1)
        ]
    )
    return products / n, np.abs(np.divide(products, ends, out=np.zeros(lags + 1), where=ends > 0))


def _first_silent_lag(correlation: FloatArray, silent: int, critical: float) -> int:
    """First lag > 0 from which `silent` correlations in a row do not differ from 0; all lags if there is none."""
    quiet = correlation < critical
    for lag in range(1, len(quiet) - silent):
        if quiet[lag : lag + silent].all():
            return lag
    return len(quiet)
