"""Block bootstrap of joint returns: the generator of the stress suite that needs no model of returns.

Blocks of rows of a sample are strung together: days keep their neighbours, so volatility clusters, and assets keep
their company, so they fall together. What the past cannot know of the present enters by how a block is scaled or where
it starts. The compiled part is in `bootstrap_kernels.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.stress.block_length import block_length
from models.stress.block_weights import RegimeHistory, moments_every, start_weights
from models.stress.bootstrap_kernels import GUIDES, Course, Sample, fill_figures, fill_paths
from models.stress.generator import Kernels, PathGenerator
from models.volatility.ewma import EWMA_DECAY, ewma

FloatArray = NDArray[np.float64]

MIN_ROWS = 250
MIN_BLOCKS = 5  # in the sample


class Blocks(StrEnum):
    """STATIONARY: lengths by chance (Politis & Romano 1994). CIRCULAR: all of one length (Politis & Romano 1992)."""

    STATIONARY = "stationary"
    CIRCULAR = "circular"


class Present(StrEnum):
    """How the present enters: not at all, by the scale of blocks, by where they start, or half of each."""

    IGNORED = "ignored"
    SCALED = "scaled"
    WEIGHTED = "weighted"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Scaling:
    """A block is multiplied by the present volatility over the one that was known when it began.

    `decay`: of the exponentially weighted variance, per step. `lowest`, `highest`: bounds of the ratio. On paths longer
    than `longest_constant_steps` the present volatility goes to the long-run one with `half_life_steps`.
    """

    decay: float = EWMA_DECAY
    lowest: float = 1.0 / 3.0
    highest: float = 3.0
    half_life_steps: float = 22.0
    longest_constant_steps: int = 30


@dataclass(frozen=True)
class BlockBootstrap(PathGenerator):
    """A sample made ready by `fit_bootstrap`; blocks of it are strung together.

    Parameters
    ----------
    sample : as the kernels read it
    blocks, length : kind of blocks and their mean length in steps
    present : how the present enters
    scaling, sigma_now, sigma_long_run : (assets,) volatility a step of the present and of the whole sample
    regimes : of the rows of the sample, where starts are weighted
    """

    sample: Sample
    blocks: Blocks
    length: float
    present: Present
    scaling: Scaling
    sigma_now: FloatArray
    sigma_long_run: FloatArray
    regimes: RegimeHistory | None

    name: ClassVar[str] = "bootstrap"

    @property
    def assets(self) -> int:
        return len(self.sample.mean)

    def kernels(self, steps: int) -> Kernels:
        sample, course = self.sample, self.course(steps)
        return Kernels(
            lambda key, first, out: fill_paths(sample, course, key, first, out),
            lambda key, first, out: fill_figures(sample, course, key, first, steps, out),
        )

    def course(self, steps: int) -> Course:
        """How paths of `steps` steps go."""
        cumulative = np.empty((0, len(self.sample.stop)))
        if self.regimes is not None:
            power = 0.5 if self.present is Present.BOTH else 1.0
            cumulative = np.cumsum(start_weights(self.regimes, steps, power), axis=1)
        return Course(
            float(self.length),
            self.blocks is Blocks.CIRCULAR,
            self._sigma(steps),
            self.scaling.lowest,
            self.scaling.highest,
            cumulative,
            guide_of(cumulative),
            moments_every(steps),
        )

    def _sigma(self, steps: int) -> FloatArray:
        if self.sample.sigma.shape[1] == 0:
            return np.empty((self.assets, 0))
        still = np.zeros(steps) if steps <= self.scaling.longest_constant_steps else np.arange(steps)
        left = 0.5 ** (still / self.scaling.half_life_steps)
        return self.sigma_long_run[:, None] + np.outer(self.sigma_now - self.sigma_long_run, left)


def guide_of(cumulative: FloatArray) -> NDArray[np.int64]:
    """(moments, n) cumulated weights -> (moments, GUIDES + 1): rows that a search over all n finds at k / GUIDES.

    Notes
    -----
    The indexed search of Chen and Asau (Journal of the ACM 21, 1974): rounding is monotone, so that a row between two
    shares lies between their rows, and the row that is found is the same.
    """
    shares = np.arange(GUIDES + 1) / GUIDES
    found = [np.searchsorted(weights, shares * weights[-1], side="right") for weights in cumulative]
    return np.array(found, dtype=np.int64).reshape(len(cumulative), GUIDES + 1)


def fit_bootstrap(
    returns: FloatArray,
    *,
    blocks: Blocks = Blocks.STATIONARY,
    length: float | None = None,
    present: Present = Present.SCALED,
    scaling: Scaling | None = None,
    sigma_now: FloatArray | None = None,
    regimes: RegimeHistory | None = None,
) -> BlockBootstrap:
    """Make a sample ready for resampling.

    Parameters
    ----------
    returns : (n, assets) log returns a step, oldest first. A row with a missing value of any asset is left out, and no
        block reaches over it
    blocks, present, scaling : see there
    length : steps of a block (mean, or all); None = `block_length` of the sample
    sigma_now : (assets,) present volatility a step, of a forecast; None = that of the sample's own last row
    regimes : of the same n rows; needed where starts are weighted, else not used

    Raises
    ------
    ValueError
        Fewer than 250 usable rows, or than five blocks; a block under one step; weighted starts without regimes.

    Notes
    -----
    Scaled returns are mean + (r - mean) ratio, ratio = sigma of the step at which the block starts / EWMA volatility
    known before the block's first row, constant along the block: inside it volatility comes and goes as it did. With
    regime weights the first rows of a run of the sample are reached a little less often than the weights say.
    """
    usable = np.asarray(np.isfinite(returns).all(axis=1))
    rows = returns[usable]
    if len(rows) < MIN_ROWS:
        raise ValueError(f"a block bootstrap needs {MIN_ROWS} rows without a missing value, got {len(rows)}")
    if length is None:
        chosen = block_length(rows)
        length = chosen.stationary if blocks is Blocks.STATIONARY else round(chosen.circular)
    if not 1.0 <= length <= len(rows) / MIN_BLOCKS:
        raise ValueError(f"blocks of {length} steps do not fit {len(rows)} rows: 1 to a fifth of them")
    scaling = scaling or Scaling()
    before, now = _known_volatility(rows, scaling.decay)
    scales = present in (Present.SCALED, Present.BOTH)
    weights = present in (Present.WEIGHTED, Present.BOTH)
    if weights and regimes is None:
        raise ValueError("starts are weighted by regimes: there are none")
    mean = rows.mean(axis=0) if scales else np.zeros(rows.shape[1])
    stop, first = _runs(usable)
    sample = Sample(
        np.ascontiguousarray((rows - mean).T), mean, before if scales else np.empty((rows.shape[1], 0)), stop, first
    )
    return BlockBootstrap(
        sample,
        blocks,
        float(length) if blocks is Blocks.STATIONARY else float(round(length)),
        present,
        scaling,
        now if sigma_now is None else np.asarray(sigma_now, dtype=np.float64),
        np.sqrt(np.maximum((rows**2).mean(axis=0), RV_FLOOR)),
        replace(regimes, probabilities=regimes.probabilities[usable]) if weights and regimes is not None else None,
    )


def _known_volatility(rows: FloatArray, decay: float) -> tuple[FloatArray, FloatArray]:
    """(assets, n) EWMA volatility known before each row, begun at the sample's own, and (assets,) after the last."""
    squares = np.vstack([(rows**2).mean(axis=0), rows**2])
    variance = np.array([ewma(np.ascontiguousarray(column), decay) for column in squares.T])
    sigma = np.sqrt(np.maximum(variance, RV_FLOOR))
    return np.ascontiguousarray(sigma[:, :-1]), sigma[:, -1]


def _runs(usable: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the usable rows, counted among themselves: (n,) end of each one's run of neighbours, (runs,) where runs
    begin."""
    position = np.flatnonzero(usable)
    first = np.flatnonzero(np.diff(position, prepend=-2) > 1)
    lengths = np.diff(first, append=len(position))
    return np.repeat(first + lengths, lengths), first
