"""What shocks do to a share of paths, beside the returns that a generator draws.

This is the whole language between shocks and a simulation: whoever injects shocks fills these arrays, whoever simulates
reads them. When and how large shocks are is in `shocks.py` and `scenarios.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Conditions:
    """What shocks do to a share of paths. Nothing is missing: no array holds NaN.

    Parameters
    ----------
    log_return : (paths, steps, assets) added to the log return of the step, after the multiplier
    sigma_multiplier : (paths, steps) >= 1, multiplies the generator's log returns of the step
    half_spread_multiplier : (paths, steps) >= 1
    depth_share : (paths, steps) in (0, 1], 1 = usual depth
    halted : (paths, steps) no rebalancing is possible: the venue has halted or the keeper is out
    score_stale : (paths, steps) the score is not refreshed: the policy sees the last one
    funding : (paths, steps) share of notional that long leveraged legs pay in the step; negative = they receive

    Raises
    ------
    ValueError
        Shapes do not fit each other, or a value lies outside its range.
    """

    log_return: FloatArray
    sigma_multiplier: FloatArray
    half_spread_multiplier: FloatArray
    depth_share: FloatArray
    halted: BoolArray
    score_stale: BoolArray
    funding: FloatArray

    def __post_init__(self) -> None:
        if self.log_return.ndim != 3:
            raise ValueError(f"log_return must be (paths, steps, assets), got the shape {self.log_return.shape}")
        expected = self.log_return.shape[:2]
        for name in _BY_STEP:
            shape = getattr(self, name).shape
            if shape != expected:
                raise ValueError(f"{name} must be (paths, steps) = {expected} as log_return is, got {shape}")
        for name in ("halted", "score_stale"):
            if getattr(self, name).dtype != np.bool_:
                raise ValueError(f"{name} must be boolean, got {getattr(self, name).dtype}")
        for name in ("log_return", "funding"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite: use 0 where nothing happens")
        for name in ("sigma_multiplier", "half_spread_multiplier"):
            values = getattr(self, name)
            if not (np.isfinite(values) & (values >= 1.0)).all():
                raise ValueError(f"{name} must be finite and at least 1: use 1 where nothing happens")
        if not ((self.depth_share > 0.0) & (self.depth_share <= 1.0)).all():
            raise ValueError("depth_share must be above 0 and at most 1: stop trading by halted, not by no depth")

    @property
    def paths(self) -> int:
        return int(self.log_return.shape[0])

    @property
    def steps(self) -> int:
        return int(self.log_return.shape[1])

    @property
    def assets(self) -> int:
        return int(self.log_return.shape[2])

    def returns(self, drawn: FloatArray) -> FloatArray:
        """(paths, steps, assets) log returns: `drawn`, of the same shape, under these conditions."""
        if drawn.shape != self.log_return.shape:
            raise ValueError(f"drawn returns must have the shape {self.log_return.shape}, got {drawn.shape}")
        return drawn * self.sigma_multiplier[:, :, None] + self.log_return


_BY_STEP = ("sigma_multiplier", "half_spread_multiplier", "depth_share", "halted", "score_stale", "funding")


def neutral(paths: int, steps: int, assets: int) -> Conditions:
    """Conditions under which nothing happens.

    Raises
    ------
    ValueError
        There is no path, no step or no asset.
    """
    if min(paths, steps, assets) < 1:
        raise ValueError(f"conditions need a path, a step and an asset, got {paths}, {steps}, {assets}")
    shape = (paths, steps)
    return Conditions(
        np.zeros((paths, steps, assets)),
        np.ones(shape),
        np.ones(shape),
        np.ones(shape),
        np.zeros(shape, dtype=np.bool_),
        np.zeros(shape, dtype=np.bool_),
        np.zeros(shape),
    )


def compose(one: Conditions, other: Conditions) -> Conditions:
    """Both at once: returns and funding add up, of the rest the worse of the two holds.

    Multipliers are not multiplied. Sizes were measured in markets in which everything went wrong together; the product
    of two of them describes no market that was seen.

    Raises
    ------
    ValueError
        The two have different shapes.
    """
    if one.log_return.shape != other.log_return.shape:
        raise ValueError(
            f"both conditions must have the same (paths, steps, assets), got {one.log_return.shape} and "
            f"{other.log_return.shape}"
        )
    return Conditions(
        one.log_return + other.log_return,
        np.maximum(one.sigma_multiplier, other.sigma_multiplier),
        np.maximum(one.half_spread_multiplier, other.half_spread_multiplier),
        np.minimum(one.depth_share, other.depth_share),
        one.halted | other.halted,
        one.score_stale | other.score_stale,
        one.funding + other.funding,
    )
