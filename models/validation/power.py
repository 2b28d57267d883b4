"""How many days a comparison of two forecasts in shadow needs, and whether it has them.

Paired and one-sided: the mean difference of their losses over dates, in units of its standard deviation, is d; a test
at level alpha finds it with power 1 - beta after n = ((z_alpha + z_beta) / d)^2 dates (Cohen 1988, ch. 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

LEVEL, POWER = 0.05, 0.80
FACTOR = (1.6448536269514722 + 0.8416212335729143) ** 2  # quantiles of the normal at 95 % and 80 %: 6.18, 6.2 rounded
MIN_DATES = 30  # below, the standard deviation itself is off by 13 % and d is a guess


@dataclass(frozen=True, slots=True)
class Reading:
    """State of a paired comparison; the first forecast is the one hoped to be better.

    `d`: mean loss difference (other minus own) over its s.d., positive = better; None under two dates or without any
    spread. `needed`: dates for 80 % power at a difference of this size; None where d is None or 0. `p_value`:
    one-sided t, small = better.
    """

    dates: int
    d: float | None
    needed: int | None
    p_value: float | None

    @property
    def decidable(self) -> bool:
        """Whether there are dates enough for a difference of the size seen."""
        return self.needed is not None and self.dates >= max(self.needed, MIN_DATES)

    @property
    def verdict(self) -> str:
        if self.needed is None or self.p_value is None:
            return "not decidable yet: no difference seen"
        if not self.decidable:
            return f"not decidable yet: {max(self.needed, MIN_DATES) - self.dates} more dates at this d"
        if self.p_value < LEVEL:
            return "better"
        return "worse" if self.p_value > 1.0 - LEVEL else "no difference shown"


def dates_needed(d: float) -> int:
    """Dates for 80 % power of a one-sided paired test at 5 % to find a difference of size `d`, not 0."""
    return math.ceil(FACTOR / d**2)


def read(own: FloatArray, other: FloatArray) -> Reading:
    """Compare losses of two forecasts.

    Parameters
    ----------
    own, other : (n,) mean losses by date on the same rows, of horizons that do not overlap; no NaN
    """
    difference = np.asarray(other - own, dtype=np.float64)
    n = len(difference)
    if n < 2:
        return Reading(n, None, None, None)
    spread = float(difference.std(ddof=1))
    if not spread > 0:
        return Reading(n, None, None, None)
    d = float(difference.mean()) / spread
    p = float(stats.t.sf(d * math.sqrt(n), n - 1))
    return Reading(n, d, dates_needed(d) if d != 0.0 else None, p)
