"""All that is said of correlations on one day: each method and regime, with its interval and its change in a month."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.regimes.states import VOLATILITY_REGIMES
from models.risk.correlation import MIN_COMMON_DAYS, Correlation, ewma, exponential_weights, ledoit_wolf
from models.risk.correlation_stability import Change, change, first_eigenvalue_share, interval

FloatArray = NDArray[np.float64]

ALL_DAYS = "all"
FADING_DAYS = 150  # of EWMA(0.97): what is older has one per cent of the weight of now
WINDOW_DAYS = 365
REGIME_DAYS = 1000  # a stressed day is rare: a year would hold too few of them
CHANGE_DAYS = 30
HISTORY_DAYS = REGIME_DAYS + CHANGE_DAYS  # rows that a day's word rests on


class CorrelationMethod(StrEnum):
    EWMA = "ewma"
    LEDOIT_WOLF = "ledoit_wolf"


@dataclass(frozen=True, eq=False)
class Said:
    """One matrix. `days`: rows with any return; `low`, `high`: 90 % interval of what was measured; `common`: share of
    one factor; `moved`: change in 30 days, None where there was nothing to compare."""

    method: CorrelationMethod
    regime: str
    days: int
    found: Correlation
    low: FloatArray
    high: FloatArray
    common: float
    moved: Change | None

    @property
    def most_common_days(self) -> int:
        k = len(self.found.names)
        return int(self.found.common_days[~np.eye(k, dtype=bool)].max())

    @property
    def has_number(self) -> bool:
        k = len(self.found.names)
        return bool(np.isfinite(self.found.matrix[~np.eye(k, dtype=bool)]).any())


def correlations_of_day(
    ret: FloatArray,
    names: Sequence[str],
    groups: Sequence[str],
    labels: Sequence[str | None],
    rng: Callable[[str], np.random.Generator],
) -> Iterator[Said]:
    """Matrices in force after the last row: fading weights, the last year, and the days of each regime.

    Parameters
    ----------
    ret : (n, k) log returns, one row a day, k > 1; NaN = none that day. `HISTORY_DAYS` rows are enough
    groups : group of each name (`models.risk.correlation`)
    labels : (n,) volatility regime of each day; None = not known
    rng : generator for a name; equal names give equal generators
    """
    label = np.array([str(name or "") for name in labels], dtype=object)

    def said(method: CorrelationMethod, regime: str, window: int) -> Said:
        def rows(until: int) -> FloatArray:
            part = slice(max(0, until - window), until)
            return ret[part] if regime == ALL_DAYS else ret[part][label[part] == regime]

        make = ewma if method is CorrelationMethod.EWMA else ledoit_wolf
        now, before = rows(len(ret)), rows(max(0, len(ret) - CHANGE_DAYS))
        found = make(now, names, groups)
        weights = exponential_weights(len(now)) if method is CorrelationMethod.EWMA else np.ones(len(now))
        low, high = interval(now, weights, rng(f"{method}/{regime}"))
        moved = change(make(before, names, groups), found)
        seen = int(np.isfinite(now).any(axis=1).sum())
        return Said(method, regime, seen, found, low, high, first_eigenvalue_share(found.filled), moved)

    yield said(CorrelationMethod.EWMA, ALL_DAYS, FADING_DAYS)
    yield said(CorrelationMethod.LEDOIT_WOLF, ALL_DAYS, WINDOW_DAYS)
    for regime in VOLATILITY_REGIMES:
        yield said(CorrelationMethod.LEDOIT_WOLF, regime.value, REGIME_DAYS)


def words(said: Said) -> list[str]:
    """What a reader must know of a matrix; empty if every pair has a number."""
    k = len(said.found.names)
    missing = len(said.found.missing)
    if not missing:
        return []
    return [
        f"{missing} of {k * (k - 1) // 2} pairs have no number: under {MIN_COMMON_DAYS} common days, or one stood still"
    ]
