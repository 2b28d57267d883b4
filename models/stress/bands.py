"""Bands of equity over time: pointwise percentiles, which are no paths, and one band that holds whole paths.

They come from the first paths of a run, all of them up to `BAND_PATHS`, at a bounded number of closes: a million paths
need no more memory than these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.stress.figures import BATCHES

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BAND_PATHS = 10_000
BAND_POINTS = 121
PERCENTS = (1, 5, 25, 50, 75, 95, 99)
INSIDE = 0.90
LEAST_PATHS = 100
LEAST_IN_BATCH = 100


@dataclass(frozen=True, eq=False)
class EquityBands:
    """Equity, 1 = the start.

    Parameters
    ----------
    paths : how many, the first of the run, the bands rest on
    steps : (points,) closes, 0 = the start
    pointwise : (7, points) percentiles 1, 5, 25, 50, 75, 95, 99 at each close
    standard_error : (7, points) of them, over 20 batches; None below 2,000 paths
    low, high : (points,) simultaneous band: `inside` of all paths lie in it at every close of `steps`
    inside : share of the paths that do, 0.90 or the next that the paths allow
    """

    paths: int
    steps: IntArray
    pointwise: FloatArray
    standard_error: FloatArray | None
    low: FloatArray
    high: FloatArray
    inside: float


def shown_steps(steps: int, points: int = BAND_POINTS) -> IntArray:
    """At most `points` closes of a path, evenly spread, the start and the end among them."""
    return np.unique(np.linspace(0, steps, min(steps + 1, points)).round().astype(np.int64))


def equity_bands(equity: FloatArray, steps: IntArray) -> EquityBands | None:
    """Bands of (paths, points) equity above 0, at the closes `steps`; None below 100 paths.

    Notes
    -----
    The simultaneous band is the median times exp of a multiple of the root mean square of logarithmic deviations, below
    and above it on their own, at each close; the smallest multiple that leaves 90 % of the paths inside everywhere.
    """
    paths = len(equity)
    if paths < LEAST_PATHS:
        return None
    pointwise = percentiles(equity)
    median = np.log(pointwise[PERCENTS.index(50)])
    deviation = np.log(equity)
    deviation -= median
    below, above = (_root_mean_square(side(deviation, 0.0)) for side in (np.minimum, np.maximum))
    width = np.where(deviation < 0.0, below, above)
    scaled = np.divide(np.abs(deviation, out=deviation), width, out=np.zeros_like(deviation), where=width > 0.0)
    furthest = np.sort(scaled.max(axis=1))
    multiple = furthest[math.ceil(INSIDE * paths) - 1]
    return EquityBands(
        paths,
        steps,
        pointwise,
        _error(equity),
        np.exp(median - multiple * below),
        np.exp(median + multiple * above),
        float((furthest <= multiple).mean()),
    )


def percentiles(equity: FloatArray) -> FloatArray:
    """(..., n, points) -> (7, ..., points): the ceil(percent n / 100)-th smallest values."""
    n = equity.shape[-2]
    ranks = [-(-n * percent // 100) - 1 for percent in PERCENTS]
    ordered = np.sort(equity, axis=-2)
    return np.asarray(np.stack([ordered[..., rank, :] for rank in ranks]))


def _root_mean_square(values: FloatArray) -> FloatArray:
    """(n, points), overwritten -> (points,)."""
    return np.asarray(np.sqrt(np.square(values, out=values).mean(axis=0)))


def _error(equity: FloatArray) -> FloatArray | None:
    size = len(equity) // BATCHES
    if size < LEAST_IN_BATCH:
        return None
    batches = percentiles(equity[: size * BATCHES].reshape(BATCHES, size, equity.shape[1]))
    return np.asarray(batches.std(axis=1, ddof=1) / math.sqrt(BATCHES))
