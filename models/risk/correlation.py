"""Correlation matrix of daily returns, shrunk towards "none": Ledoit and Wolf's, and one whose days fade.

Second moments of each pair's common days; means are taken for zero, as those of daily returns are beside their
deviation. Names may stand in groups, such as coins and rates: then pairs within a group, and those between two, are
each shrunk by their own noise. One measure for all would take from coins what only rates deserve. Shrinking goes on, if
need be, until the matrix is positive definite: pairs of different days, or groups, may contradict each other. A pair
without enough common days has no number. How far a matrix can be trusted is in
`correlation_stability`; the correlations inside a vault's variance are a path over time and stay in `vault_series`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Variance = Callable[[FloatArray, Callable[[int, int], FloatArray]], FloatArray]  # of one day's part in r

DECAY = 0.97
MIN_COMMON_DAYS = 60  # the standard error of a correlation of zero is then 0.13
STOOD_STILL = 1e-20  # root of a sum of squares, beside the largest return of the name
SMALLEST_EIGENVALUE = 1e-8  # positive definite with room for rounding; it costs a correlation at most as much


@dataclass(frozen=True, eq=False)
class Correlation:
    """`matrix` (k, k): unit diagonal, NaN for a pair without a number; `measured`: the same before it was shrunk;
    `common_days` (k, k): days on which both of a pair have a return."""

    names: tuple[str, ...]
    matrix: FloatArray
    measured: FloatArray
    common_days: IntArray

    @property
    def shrinkage(self) -> float:
        """Share that was taken off the sum of the absolute correlations, 0-1; 0 where there was none."""
        before, after = (float(np.nansum(np.abs(np.triu(part, 1)))) for part in (self.measured, self.matrix))
        return max(0.0, 1.0 - after / before) if before > 0 else 0.0

    @property
    def missing(self) -> list[tuple[str, str, int]]:
        """Pairs without a number, with their common days; where these are enough, one of the two stood still."""
        rows, columns = np.nonzero(np.triu(np.isnan(self.matrix)))
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return [(self.names[i], self.names[j], int(self.common_days[i, j])) for i, j in pairs]

    @property
    def filled(self) -> FloatArray:
        """The matrix with nothing known taken for no correlation: positive definite, for sums over all pairs."""
        return np.nan_to_num(self.matrix, nan=0.0)


def exponential_weights(rows: int, decay: float = DECAY) -> FloatArray:
    """(n,) weights that fall by `decay` a row into the past; the newest one is 1."""
    return np.asarray(decay ** np.arange(rows - 1, -1, -1, dtype=float))


def ledoit_wolf(
    ret: FloatArray, names: Sequence[str], groups: Sequence[str] | None = None, least: int = MIN_COMMON_DAYS
) -> Correlation:
    """Correlations of all days alike, shrunk as a covariance of standardised returns.

    Parameters
    ----------
    ret : (n, k) log returns, one row a day; NaN = no return that day (closed, missing)
    names : k names
    groups : group of each name; None puts all into one
    least : common days that a pair needs

    Returns
    -------
    Correlations (1 - share) r of the pairs that have a number, with one share for the pairs of two groups.

    Notes
    -----
    The share is sum Var(r_ij) / sum r_ij^2 over the pairs of its groups, at most 1; within a group the first sum also
    takes the diagonal. Var(r_ij) = (mean(x_i^2 x_j^2) - r_ij^2) / days, x of unit variance (Ledoit & Wolf 2004, target
    identity). With one group and nothing missing this is sklearn's `ledoit_wolf` of the standardised returns.

    Raises
    ------
    ValueError
        Names or groups do not fit the returns.
    """
    return _shrunk(ret, names, groups, np.ones(len(ret)), least, _of_a_covariance)


def ewma(
    ret: FloatArray,
    names: Sequence[str],
    groups: Sequence[str] | None = None,
    decay: float = DECAY,
    least: int = MIN_COMMON_DAYS,
) -> Correlation:
    """Correlations of days that fade by `decay`; arguments, answer and errors as `ledoit_wolf`.

    Notes
    -----
    Few days count, so shrinkage matters more and its size must be right. Here Var(r_ij) is that of a correlation and
    not of a covariance, by the delta method (a wild day moves both of its sides): mean of (x_i x_j - r_ij (x_i^2 +
    x_j^2) / 2)^2 over effective days, Kish's (sum w)^2 / sum w^2. It is zero on the diagonal.
    """
    return _shrunk(ret, names, groups, exponential_weights(len(ret), decay), least, _of_a_correlation)


def raw_correlation(ret: FloatArray, weights: FloatArray, least: int = MIN_COMMON_DAYS) -> FloatArray:
    """(k, k) correlations before shrinkage, NaN for a pair under `least` common days or with a name that stood still
    on them. `weights` (n,) of the days, > 0."""
    seen, x = _there(ret)
    scale, product = _scale(x, weights, seen), _pairs(x, weights, x)
    known = (seen.T @ seen >= least) & (scale > STOOD_STILL) & (scale.T > STOOD_STILL)
    product = (product + product.T) / 2  # the same to the last bit on both sides of the diagonal
    return np.asarray(np.where(known, product / np.where(known, scale * scale.T, 1.0), np.nan))


def _shrunk(
    ret: FloatArray,
    names: Sequence[str],
    groups: Sequence[str] | None,
    weights: FloatArray,
    least: int,
    variance_of: Variance,
) -> Correlation:
    k = ret.shape[1]
    groups = [""] * k if groups is None else groups
    if len(names) != k or len(groups) != k:
        raise ValueError(f"{k} returns a day need as many names and groups, not {len(names)} and {len(groups)}")
    raw = raw_correlation(ret, weights, least)
    known, off = np.isfinite(raw), ~np.eye(k, dtype=bool)
    r = np.where(known, raw, 0.0)
    seen, x = _there(ret)
    scale, total = (np.where(known, sums, 1.0) for sums in (_scale(x, weights, seen), _pairs(seen, weights, seen)))

    def fourth(p: int, q: int) -> FloatArray:
        """(k, k) mean of x_i^p x_j^q, p + q = 4, over the common days on which both have unit variance."""
        sums = _pairs(x**p * seen, weights, x**q * seen)
        return np.asarray(sums * total / (scale**p * scale.T**q))

    noise = np.where(known, variance_of(r, fourth) * _pairs(seen, weights**2, seen) / total**2, 0.0)
    shrunk = np.where(off, (1.0 - _shares(noise, np.where(off, r**2, 0.0), groups)) * r, 1.0)
    shrunk = (shrunk + shrunk.T) / 2  # products of matrices round differently on the two sides of the diagonal
    shrunk = np.where(off, (1.0 - _until_positive(shrunk)) * shrunk + 0.0, 1.0)  # no zero with a sign
    return Correlation(
        tuple(names),
        np.where(off & ~known, np.nan, shrunk),
        np.where(off, raw, 1.0),
        (seen.T @ seen).astype(np.int64),
    )


def _shares(noise: FloatArray, signal: FloatArray, groups: Sequence[str]) -> FloatArray:
    """(k, k) share to take off each pair: all noise over all signal of the pairs between its two groups, 0-1."""
    belongs = (np.array(groups, dtype=object)[:, None] == np.unique(np.array(groups, dtype=object))).astype(float)
    above, below = (belongs.T @ part @ belongs for part in (noise, signal))
    share = np.divide(above, below, out=np.ones_like(below), where=below > 0)
    return np.asarray(belongs @ np.clip(share, 0.0, 1.0) @ belongs.T)


def _of_a_covariance(r: FloatArray, fourth: Callable[[int, int], FloatArray]) -> FloatArray:
    return np.asarray(fourth(2, 2) - r**2)


def _of_a_correlation(r: FloatArray, fourth: Callable[[int, int], FloatArray]) -> FloatArray:
    squares, cubes, fourths = fourth(2, 2), fourth(3, 1), fourth(4, 0)
    return np.asarray(squares - r * (cubes + cubes.T) + r**2 * (fourths + fourths.T + 2 * squares) / 4)


def _there(ret: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where there is a return (1 or 0), and the returns, 0 elsewhere, over the largest of each name."""
    there = np.isfinite(ret)
    x = np.where(there, ret, 0.0)
    largest = np.abs(x).max(axis=0, initial=0.0)
    return there.astype(float), x / np.where(largest > 0, largest, 1.0)


def _scale(x: FloatArray, weights: FloatArray, seen: FloatArray) -> FloatArray:
    """[i, j]: root of the sum of squares of i over the days it has in common with j."""
    return np.sqrt(_pairs(x**2, weights, seen))


def _pairs(a: FloatArray, weights: FloatArray, b: FloatArray) -> FloatArray:
    """(k, k) weighted sums of products over the rows."""
    return np.asarray((a * weights[:, None]).T @ b)


def _until_positive(matrix: FloatArray) -> float:
    """Least shrinkage towards the identity at which no eigenvalue is under `SMALLEST_EIGENVALUE`."""
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    return max(0.0, (SMALLEST_EIGENVALUE - lowest) / (1.0 - lowest)) if lowest < 1.0 else 0.0
