"""How far a correlation matrix can be trusted: what chance makes of it, how it moved, how much is one market factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.risk.correlation import MIN_COMMON_DAYS, Correlation

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
    weights: FloatArray,
    rng: np.random.Generator,
    least: int = MIN_COMMON_DAYS,
    draws: int = DRAWS,
) -> tuple[FloatArray, FloatArray]:
    """Ends (k, k) of the 90 % interval of each correlation before shrinkage; arguments as `raw_correlation`.

    NaN where a pair has no number in over half of the draws. A correlation that is shrunk a lot may lie outside.

    Notes
    -----
    Days are drawn in blocks (stationary bootstrap, Politis & Romano 1994, 10 days on average), all names together and
    each with its holes; weights belong to places, so the day that is drawn last counts as the newest one does.
    """
    n, k = ret.shape
    if n < least:
        nothing = np.where(np.eye(k, dtype=bool), 1.0, np.nan)
        return nothing, nothing.copy()
    times, weight = _drawn_days(n, weights, rng, draws)
    there = np.isfinite(ret)
    x, (i, j) = np.where(there, ret, 0.0), np.triu_indices(k, 1)
    both = (there[:, i] & there[:, j]).astype(float)
    # A draw changes only how much each day counts: three sums for all draws and pairs at once.
    product, first, second = (weight @ part for part in (x[:, i] * x[:, j], x[:, i] ** 2 * both, x[:, j] ** 2 * both))
    known = (times @ both >= least) & (first > 0) & (second > 0)
    r = np.where(known, product / np.sqrt(np.where(known, first * second, 1.0)), np.nan)
    often = known.mean(axis=0) > 0.5
    ends = []
    for probability in INTERVAL:
        end = np.where(np.eye(k, dtype=bool), 1.0, np.nan)
        end[i[often], j[often]] = np.nanquantile(r[:, often], probability, axis=0)
        ends.append(np.where(np.isnan(end), end.T, end))
    return ends[0], ends[1]


def _drawn_days(n: int, weights: FloatArray, rng: np.random.Generator, draws: int) -> tuple[FloatArray, FloatArray]:
    """(draws, n) how often each day was drawn, and the sum of the weights of the places it was drawn for."""
    begins = rng.random((draws, n)) < 1.0 / MEAN_BLOCK_DAYS
    begins[:, 0] = True
    place = np.broadcast_to(np.arange(n), (draws, n))
    block = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    start = np.take_along_axis(rng.integers(0, n, (draws, n)), block, axis=1)
    day = (start + place - block) % n
    times, weight = np.zeros((draws, n)), np.zeros((draws, n))
    row = np.arange(draws)[:, None]
    np.add.at(times, (row, day), 1.0)
    np.add.at(weight, (row, day), np.broadcast_to(weights, (draws, n)))
    return times, weight
