"""What a backtest leaves behind: ticks, trades, and the course of the vault.

A tick holds everything that the answer rested on, so that the same functions can be asked again (`parity`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from models.contracts.score import Score
from models.contracts.vault import ActionHistory, Decision, PolicyState, Target, VaultState

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tick:
    """One bar at which something was wanted and decided.

    `previous`, `last_weights`: of the last target, None before the first. `state`: None where a leg had no price.
    `decision`: None during an outage of the keeper; the target was made all the same.
    """

    bar: int
    now: datetime
    score: Score | None
    previous: PolicyState | None
    last_weights: Mapping[str, Decimal] | None
    target: Target
    state: VaultState | None
    history: ActionHistory
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Trade:
    """One order at its fill. `planned`: turnover that was decided, share of the vault; `turnover`: what was carried
    out; `notional_usd`: sum over the swaps; `fill_share` 0: it failed and nothing moved."""

    decided_bar: int
    bar: int
    planned: float
    turnover: float
    notional_usd: float
    cost_usd: float
    fill_share: float


@dataclass(frozen=True, eq=False)
class BacktestRun:
    """Course of one strategy over n bars of k legs.

    `close_at` (n,); `days` (n,) UTC day of each bar in days since 1970; `equity_usd` (n,) after costs; `weights`
    (n, k); `exposure` (n,) share outside the stable legs; all after the fill at the bar. `trades` in order; `ticks`
    only from the exact engine.
    """

    strategy: str
    symbols: tuple[str, ...]
    close_at: NDArray[np.datetime64]
    days: IntArray
    equity_usd: FloatArray
    weights: FloatArray
    exposure: FloatArray
    trades: tuple[Trade, ...]
    ticks: tuple[Tick, ...] = ()

    @property
    def mean_exposure(self) -> float:
        return float(self.exposure.mean())

    @property
    def years(self) -> float:
        """Length in years of 365 days."""
        spanned = (self.close_at[-1] - self.close_at[0]) / np.timedelta64(1, "D")
        return float(spanned) / 365.0

    @property
    def turnover(self) -> float:
        """Sum over the trades of the share of the vault that was sold, or bought where that is more."""
        return float(sum(trade.turnover for trade in self.trades))

    @property
    def cost_usd(self) -> float:
        return float(sum(trade.cost_usd for trade in self.trades))

    def between(self, first_day: int, last_day: int) -> BacktestRun:
        """The part whose daily returns are those of days `first_day` to `last_day` (since 1970), without ticks.

        The last bar before `first_day` stays as the base of the first return; the days are cut to those there are.
        """
        start = max(int(np.searchsorted(self.days, first_day)) - 1, 0)
        stop = int(np.searchsorted(self.days, last_day, side="right"))
        trades = (
            replace(trade, decided_bar=trade.decided_bar - start, bar=trade.bar - start)
            for trade in self.trades
            if start < trade.bar < stop
        )
        part = slice(start, stop)
        return BacktestRun(
            self.strategy,
            self.symbols,
            self.close_at[part],
            self.days[part],
            self.equity_usd[part],
            self.weights[part],
            self.exposure[part],
            tuple(trades),
        )

    def daily(self) -> tuple[IntArray, FloatArray]:
        """Days (m,) and equity (m,) in dollars at the last bar of each."""
        last = np.flatnonzero(np.append(np.diff(self.days) > 0, True))
        return self.days[last], self.equity_usd[last]

    def daily_returns(self) -> tuple[IntArray, FloatArray]:
        """Days (m - 1,) after the first and their simple returns; a day without a bar is part of the next one's."""
        days, equity = self.daily()
        return days[1:], np.asarray(equity[1:] / equity[:-1] - 1.0)
