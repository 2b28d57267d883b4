"""How far a correlation matrix can be trusted: what chance makes of it, how it moved, how much is one market factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from arch.bootstrap import StationaryBootstrap
from numpy.typing import NDArray

from models.risk.correlation import MIN_COMMON_DAYS, Correlation, raw_correlation

FloatArray = NDArray[np.float64]

INTERVAL = (0.05, 0.95)
MEAN_BLOCK_DAYS = 10  # shorter or longer ones cover no better where volatility is persistent (docs/risk.md)
DRAWS = 400  # the ends of a 90 % interval then stand within about a tenth of its width


@dataclass(frozen=True, slots=True)
class Change:
    """Absolute differences of the pairs that two matrices share: their `mean`, the `largest` and whose it is."""

    mean: float
    largest: float
    pair: tuple[str, str]


def change(before: Correlation, now: Correlation) -> Change | None:
    """How two matrices of the same names differ; None if they share no pair.

    Raises
    ------
    ValueError
        The names differ.
    """
    if before.names != now.names:
        raise ValueError("two matrices of different names have no difference")
    moved = np.triu(np.abs(now.matrix - before.matrix), 1)
    there = np.triu(np.isfinite(moved), 1)
    if not there.any():
        return None
    row, column = np.unravel_index(int(np.argmax(np.where(there, moved, -1.0))), moved.shape)
    pair = (now.names[int(row)], now.names[int(column)])
    return Change(float(moved[there].mean()), float(moved[row, column]), pair)


def first_eigenvalue_share(matrix: FloatArray) -> float:
    """Share of the variance of k standardised returns that one common factor explains, 1 / k to 1.

    `matrix` (k, k) without NaN (`Correlation.filled`).
    """
    return float(np.linalg.eigvalsh(matrix)[-1] / len(matrix))


def interval(
    ret: FloatArray,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    least: int = MIN_COMMON_DAYS,
    draws: int = DRAWS,
) -> tuple[FloatArray, FloatArray]:
    """Ends (k, k) of the 90 % interval of each correlation before shrinkage; arguments as `correlation`.

    NaN where a pair has no number in over half of the draws. Shrinkage trades bias for noise: a correlation that is
    shrunk a lot may lie outside.

    Notes
    -----
    Days are drawn in blocks (stationary bootstrap, Politis & Romano 1994, 10 days on average), all names together and
    each with its holes; weights stay in their places, so the newest draw counts as the newest day does.
    """
    k = ret.shape[1]
    w = np.ones(len(ret)) if weights is None else weights
    found = np.empty((draws, k, k))
    bootstrap = StationaryBootstrap(MEAN_BLOCK_DAYS, ret, seed=rng)
    for draw, (sample, _) in enumerate(bootstrap.bootstrap(draws)):
        found[draw] = raw_correlation(np.asarray(sample[0]), w, least)
    often = np.isfinite(found).mean(axis=0) > 0.5
    ends = [np.full((k, k), np.nan) for _ in INTERVAL]
    for end, probability in zip(ends, INTERVAL, strict=True):
        end[often] = np.nanquantile(found[:, often], probability, axis=0)
    return ends[0], ends[1]
