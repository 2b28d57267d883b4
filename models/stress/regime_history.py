"""Regimes of the rows of a sample, for blocks whose starts are weighted by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.regimes.chain import fit_chain
from models.stress.block_weights import RegimeHistory
from models.volatility.ewma import EWMA_DECAY, ewma

FloatArray = NDArray[np.float64]


def regime_history(returns: FloatArray, steps_per_day: int) -> RegimeHistory:
    """Filtered regimes of joint log returns.

    Parameters
    ----------
    returns : (n, assets) a step, oldest first; NaN = missing: the variance stays as it is
    steps_per_day : 24 for hours, 1 for days

    Raises
    ------
    ValueError
        Too few days for a chain.

    Notes
    -----
    The chain of `models.regimes` on the mean over assets of ln exponentially weighted variance (0.94 a day), one value
    a day, counted back from the last row. A row has the probabilities of the newest day that ended by it. Hours move by
    a 24th of a day's move, which is its first-order root.
    """
    decay = EWMA_DECAY ** (1.0 / steps_per_day)
    variance = np.array([ewma(np.ascontiguousarray(column), decay) for column in (returns**2).T])
    level = np.log(np.maximum(variance, RV_FLOOR)).mean(axis=0)
    first = (len(level) - 1) % steps_per_day
    daily = level[first::steps_per_day]
    chain = fit_chain(daily)
    if chain is None:
        raise ValueError(f"starts are weighted by regimes: {len(daily)} days are too few for them")
    probabilities = chain.filtered(daily)
    day = np.maximum((np.arange(len(level)) - first) // steps_per_day, 0)
    states = np.eye(len(chain.move))
    move = states + (np.array(chain.move) - states) / steps_per_day
    return RegimeHistory(probabilities[day], probabilities[-1], move)
