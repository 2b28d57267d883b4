"""Whether an expected shortfall keeps its word: Acerbi and Szekely's tests, and a loss that ranks VaR and ES together.

Losses are positive here as everywhere: `var` and `es` in log-return units, an exceedance is ret < -var.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Draw = Callable[[np.random.Generator], FloatArray]


@dataclass(frozen=True, slots=True)
class ShortfallTest:
    """`z1`: mean of ret / es on the days beyond the VaR, plus 1 (NaN without such a day); `z2`: the same sum over the
    number of such days that was promised. Zero is as promised, below zero the losses were larger. `p1`, `p2`: one-sided
    p-values of "not larger than promised", by simulation."""

    z1: float
    z2: float
    p1: float
    p2: float


def z_statistics(ret: FloatArray, var: FloatArray, es: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Z1 and Z2 of Acerbi & Szekely (2014, eq. 5 and 6).

    Parameters
    ----------
    ret : (..., n) returns; leading axes are several histories of the same n days
    var, es : (n,) promised for each day, positive
    level : promised share of days beyond the VaR

    Returns
    -------
    Z1 (NaN without an exceedance) and Z2, one for each history
    """
    beyond = ret < -var
    total = np.where(beyond, ret / es, 0.0).sum(axis=-1)
    count = beyond.sum(axis=-1)
    z1 = np.where(count > 0, total / np.maximum(count, 1) + 1.0, np.nan)
    return z1, total / (level * ret.shape[-1]) + 1.0


def acerbi_szekely(
    ret: FloatArray,
    var: FloatArray,
    es: FloatArray,
    level: float,
    draw: Draw,
    rng: np.random.Generator,
    simulations: int = 1000,
) -> ShortfallTest:
    """Both tests, with p-values from histories that the promised laws would have made.

    Parameters
    ----------
    ret, var, es : (n,) without NaN, on days apart from each other
    draw : makes one history (n,) of returns by the laws behind `var` and `es`
    simulations : histories drawn; the p-values are (1 + those at or below what was seen) / (1 + simulations), those
        without an exceedance left out of Z1's
    """
    z1, z2 = (float(z) for z in z_statistics(ret, var, es, level))
    drawn1, drawn2 = z_statistics(np.stack([draw(rng) for _ in range(simulations)]), var, es, level)
    return ShortfallTest(z1, z2, _p_value(z1, drawn1), _p_value(z2, drawn2))


def fz0(ret: FloatArray, var: FloatArray, es: FloatArray, level: float) -> FloatArray:
    """(n,) loss of a pair of VaR and ES, lower is better; NaN where one of the three is missing.

    Notes
    -----
    FZ0 of Patton, Ziegel & Chen (2019): consistent for both together, homogeneous of degree zero, so differences do not
    depend on the unit. With positive losses: hit (-var - ret) / (level es) + var / es + ln es - 1.
    """
    excess = np.where(ret < -var, -var - ret, 0.0) + 0.0 * ret
    return np.asarray(excess / (level * es) + var / es + np.log(es) - 1.0)


def _p_value(seen: float, drawn: FloatArray) -> float:
    if math.isnan(seen):
        return math.nan
    known = drawn[np.isfinite(drawn)]
    return (1.0 + float((known <= seen).sum())) / (1.0 + len(known))
