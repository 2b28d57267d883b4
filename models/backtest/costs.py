"""What a trade costs: half-spread, slippage, and impact that grows with the square root of its size.

Here: the price of one swap of one leg against the stable leg. When one is made is the engine's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Costs:
    """Cost per dollar traded = (half_spread_bps + slippage_bps) / 10,000 + impact_kappa sigma sqrt(q / depth).

    A swap from one risky leg to another passes through the stable leg and pays twice. `impact_kappa` 0.7 is the usual
    size of the square-root law (Toth et al. 2011); 0 = no impact, and bars need no depth.
    """

    half_spread_bps: float = 5.0
    slippage_bps: float = 5.0
    impact_kappa: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) and x >= 0 for x in (self.half_spread_bps, self.slippage_bps, self.impact_kappa)):
            raise ValueError(f"costs must be finite and not negative: {self}")

    @property
    def fixed(self) -> float:
        """Cost per dollar without impact."""
        return (self.half_spread_bps + self.slippage_bps) / 10_000

    def fixed_at(self, spread_multiplier: FloatArray) -> FloatArray:
        """`fixed` where the half-spread is as many times its usual size."""
        return np.asarray((self.half_spread_bps * spread_multiplier + self.slippage_bps) / 10_000)

    def widened(self, spread_multiplier: float) -> Costs:
        """The same where the half-spread is as many times its usual size."""
        return replace(self, half_spread_bps=self.half_spread_bps * spread_multiplier)

    def of(self, notional_usd: Decimal, sigma_day: float, depth_usd: float) -> Decimal:
        """Dollars that a swap of `notional_usd` costs: never more than itself.

        Parameters
        ----------
        sigma_day, depth_usd : of the leg at the bar; read only with impact.
        """
        rate = cost_rate(self.fixed, self.impact_kappa, float(notional_usd), sigma_day, depth_usd)
        return notional_usd * Decimal(repr(rate))


@njit(cache=True, nogil=True)
def cost_rate(fixed: float, kappa: float, notional_usd: float, sigma_day: float, depth_usd: float) -> float:
    """Cost per dollar traded, at most 1. Without depth nothing can be traded for less than all of it."""
    if kappa == 0.0 or notional_usd <= 0.0:
        return fixed
    if depth_usd <= 0.0:
        return 1.0
    return min(1.0, fixed + kappa * sigma_day * math.sqrt(notional_usd / depth_usd))
