"""One volatility regime for several series on a day: that of the middle one, the wilder of two."""

from __future__ import annotations

from collections.abc import Iterable

from models.regimes.states import VOLATILITY_REGIMES, VolatilityRegime


def shared_regime(labels: Iterable[str | None]) -> VolatilityRegime | None:
    """The wildest regime that at least half of the labelled series are in or above; None where none has a label."""
    order = sorted(VOLATILITY_REGIMES.index(VolatilityRegime(label)) for label in labels if label is not None)
    return VOLATILITY_REGIMES[order[len(order) // 2]] if order else None
