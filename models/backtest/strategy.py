"""The interface of strategies: what one is told at a bar, and the target it answers with.

A strategy says what the vault should hold. Whether, when and how far the vault moves there is decided by
`models.allocation.policy.decide` for all of them alike, so that a comparison compares targets and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.backtest.bars import Bars
from models.backtest.tape import ScoreTape
from models.contracts.score import Score
from models.contracts.vault import Target, VaultConfig

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class History:
    """Closes up to now. It is filled bar by bar: there is no later bar in it to be found."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, prices: Sequence[float]) -> None:
        """A bar without a print of a leg repeats its last price."""
        last = self._rows[-1] if self._rows else prices
        self._rows.append(tuple(old if new != new else new for new, old in zip(prices, last, strict=True)))

    def last(self, count: int) -> FloatArray:
        """(min(count, bars so far), k) newest closes, oldest first."""
        return np.array(self._rows[-count:], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Moment:
    """All that is known at the close of a bar. `last`: the strategy's own last target, None before the first."""

    bar: int
    now: datetime
    score: Score | None
    history: History
    last: Target | None


@dataclass(frozen=True, eq=False)
class FloatTargets:
    """The targets of all n bars at once, for the fast path.

    `weights` (n, k); `usable` (n,) False = nothing may move; `said` (n,) number of the word that the target rests on:
    one word is acted on once. `sigma_ann` (n,) volatility that goes with it, NaN = not said; None: of no bar.
    """

    weights: FloatArray
    usable: BoolArray
    said: IntArray
    sigma_ann: FloatArray | None = None


class Strategy(Protocol):
    """`vault`: legs and limits, and the policy for a strategy on scores. `start`: weights of the first bar."""

    @property
    def name(self) -> str: ...

    @property
    def vault(self) -> VaultConfig: ...

    @property
    def start(self) -> Mapping[str, Decimal]: ...

    def target(self, moment: Moment) -> Target:
        """What the vault should hold, exactly."""

    def targets(self, bars: Bars, tape: ScoreTape) -> FloatTargets:
        """The same for all bars, in floats. Row t must not depend on a bar or a score after t: a test compares it with
        `target`, which cannot."""
