"""A generator by the name under which a request asks for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.stress.bootstrap import Present, Scaling, fit_bootstrap
from models.stress.generator import PathGenerator
from models.stress.regime_generator import fit_regime_generator
from models.stress.regime_history import regime_history
from models.stress.request import REGIMES

FloatArray = NDArray[np.float64]

PRESENTS = {
    "scaled": Present.SCALED, "weighted": Present.WEIGHTED, "both": Present.BOTH, "plain": Present.IGNORED,
}  # fmt: skip
WEIGHTED = ("weighted", "both")  # blocks are looked for by the regimes of where they start


def generator_of(name: str, returns: FloatArray, steps_per_day: int) -> PathGenerator:
    """The generator `name` of `models.stress.request.GENERATORS`, fitted to (n, assets) log returns a step.

    Raises
    ------
    ValueError
        The returns do not suffice.

    Notes
    -----
    On hours, what `Scaling` says in days is said in hours: the same decay, half-life and constant time on the clock.
    """
    if name == REGIMES:
        return fit_regime_generator(returns)
    present = PRESENTS[name]
    return fit_bootstrap(
        returns,
        present=present,
        scaling=_scaling(steps_per_day),
        regimes=regime_history(returns, steps_per_day) if name in WEIGHTED else None,
    )


def _scaling(steps_per_day: int) -> Scaling:
    daily = Scaling()
    return Scaling(
        daily.decay ** (1.0 / steps_per_day),
        daily.lowest,
        daily.highest,
        daily.half_life_steps * steps_per_day,
        daily.longest_constant_steps * steps_per_day,
    )
