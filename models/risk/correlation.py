"""Correlation matrix of daily returns: weighted second moments of each pair's common days, shrunk towards "none".

Equal weights give Ledoit and Wolf's estimator, exponential ones the same for the present. Shrinking goes on, if need
be, until the matrix is positive definite: pairs of different days may contradict each other. A pair without enough
common days has no number. How far a matrix can be trusted is in `correlation_stability`; the correlations inside a
vault's variance are a path over time and stay in `vault_series`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

DECAY = 0.97
MIN_COMMON_DAYS = 60  # the standard error of a correlation of zero is then 0.13
SMALLEST_EIGENVALUE = 1e-8  # positive definite with room for rounding; it costs a correlation at most as much


@dataclass(frozen=True, eq=False)
class Correlation:
    """`matrix` (k, k): unit diagonal, NaN for a pair without a number; `common_days` (k, k): days on which both of a
    pair have a return; `shrinkage` 0-1: how much was taken off all correlations."""

    names: tuple[str, ...]
    matrix: FloatArray
    common_days: IntArray
    shrinkage: float

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


def correlation(
    ret: FloatArray, names: Sequence[str], weights: FloatArray | None = None, least: int = MIN_COMMON_DAYS
) -> Correlation:
    """Shrunk correlation matrix of daily returns.

    Parameters
    ----------
    ret : (n, k) log returns, one row a day; NaN = no return that day (closed, missing)
    names : k names
    weights : (n,) weight of each day > 0; None = equal
    least : common days that a pair needs

    Returns
    -------
    Correlations (1 - shrinkage) r of the pairs that have a number.

    Notes
    -----
    r is the weighted mean product over root mean squares, all over the pair's common days; means are taken for zero, as
    those of daily returns are beside their deviation. Shrinkage is sum Var(r_ij) / sum r_ij^2, the first sum over all
    entries and the second over those beside the diagonal, with Var(r_ij) = (mean(x_i^2 x_j^2) - r_ij^2) / effective
    days, x of unit variance (Ledoit & Wolf 2004, target identity; effective days: Kish's (sum w)^2 / sum w^2). With
    equal weights and nothing missing this is sklearn's `ledoit_wolf` of the standardised returns.

    Raises
    ------
    ValueError
        Names or weights do not fit the returns.
    """
    w = _checked(ret, names, weights)
    there = np.isfinite(ret)
    seen, squares = there.astype(float), np.where(there, ret, 0.0) ** 2
    r = raw_correlation(ret, w, least)
    known, off = np.isfinite(r), ~np.eye(len(names), dtype=bool)
    r = np.where(known, r, 0.0)
    own, total = (np.where(known, sums, 1.0) for sums in (_pairs(squares, w, seen), _pairs(seen, w, seen)))
    fourth = _pairs(squares, w, squares) / own / own.T * total
    noise = np.where(known, (fourth - r**2) * _pairs(seen, w**2, seen) / total**2, 0.0)
    signal = float((r[off] ** 2).sum())
    shrinkage = min(1.0, max(0.0, float(noise.sum())) / signal) if signal > 0 else 1.0
    shrinkage = max(shrinkage, _until_positive(np.where(off, r, 1.0)))
    matrix = np.where(off, np.where(known, (1.0 - shrinkage) * r, np.nan), 1.0)
    days = (seen.T @ seen).astype(np.int64)
    return Correlation(tuple(names), matrix, days, shrinkage)


def raw_correlation(ret: FloatArray, weights: FloatArray, least: int = MIN_COMMON_DAYS) -> FloatArray:
    """(k, k) correlations before shrinkage, NaN for a pair under `least` common days or with a name that stood still
    on them; arguments as `correlation`."""
    there = np.isfinite(ret)
    seen, x = there.astype(float), np.where(there, ret, 0.0)
    own = _pairs(x**2, weights, seen)  # [i, j]: sum of squares of i over the days it has in common with j
    known = (seen.T @ seen >= least) & (own > 0) & (own.T > 0)
    scale, product = np.sqrt(np.where(known, own, 1.0)), _pairs(x, weights, x)
    product = (product + product.T) / 2  # the same to the last bit on both sides of the diagonal
    return np.asarray(np.where(known, product / (scale * scale.T), np.nan))


def by_label(
    ret: FloatArray, names: Sequence[str], labels: Sequence[str | None], wanted: Sequence[str]
) -> Mapping[str, Correlation]:
    """Equally weighted matrix of the days of each of the `wanted` labels; `labels` (n,), None = in none of them."""
    label = np.array([name or "" for name in labels], dtype=object)
    return {name: correlation(ret[label == name], names) for name in wanted}


def _checked(ret: FloatArray, names: Sequence[str], weights: FloatArray | None) -> FloatArray:
    n, k = ret.shape
    w = np.ones(n) if weights is None else weights
    if len(names) != k or len(w) != n or not (w > 0).all():
        raise ValueError(f"{n} rows of {k} returns need as many positive weights and as many names")
    return w


def _pairs(a: FloatArray, weights: FloatArray, b: FloatArray) -> FloatArray:
    """(k, k) weighted sums of products over the rows."""
    return np.asarray((a * weights[:, None]).T @ b)


def _until_positive(matrix: FloatArray) -> float:
    """Least shrinkage towards the identity at which no eigenvalue is under `SMALLEST_EIGENVALUE`."""
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    return max(0.0, (SMALLEST_EIGENVALUE - lowest) / (1.0 - lowest)) if lowest < 1.0 else 0.0
