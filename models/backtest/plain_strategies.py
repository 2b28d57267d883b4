"""Strategies that read no score: hold, constant mix, and weights that are computed again every so often.

They are what a policy is measured against. All of them pass through the same dead zone, caps and costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

import numpy as np
from numpy.typing import NDArray

from models.allocation.policy import stable_leg
from models.allocation.weights import ONE, QUANTUM
from models.backtest.bars import Bars
from models.backtest.mixes import as_row
from models.backtest.strategy import FloatTargets, Moment
from models.backtest.tape import ScoreTape
from models.contracts.vault import PolicyState, Target, VaultConfig

FloatArray = NDArray[np.float64]

Weigh = Callable[[FloatArray], FloatArray | None]


@dataclass(frozen=True, slots=True)
class Hold:
    """The base weights at the start, and never a trade."""

    vault: VaultConfig
    name: str = "hold"

    @property
    def start(self) -> Mapping[str, Decimal]:
        return {asset.symbol: asset.base_weight for asset in self.vault.assets}

    def target(self, moment: Moment) -> Target:
        return _target(self.vault, moment, self.start, self.name, usable=False)

    def targets(self, bars: Bars, tape: ScoreTape) -> FloatTargets:
        return _constant(self.vault, bars, self.start, usable=False)


@dataclass(frozen=True, slots=True)
class ConstantMix:
    """The same weights at every bar: traded back to whenever the market has moved the vault out of the dead zone."""

    vault: VaultConfig
    weights: Mapping[str, Decimal]
    name: str = "constant_mix"

    @property
    def start(self) -> Mapping[str, Decimal]:
        return self.weights

    def target(self, moment: Moment) -> Target:
        return _target(self.vault, moment, self.weights, self.name)

    def targets(self, bars: Bars, tape: ScoreTape) -> FloatTargets:
        return _constant(self.vault, bars, self.weights)


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """Weights from the returns of the last `lookback_bars`, computed every `every_bars`; the hook for optimisers.

    `weigh`: ((lookback, risky legs) log returns, oldest first) -> shares of the risky part that are not negative and
    sum to 1, or None where it cannot say. It must be a function of its argument alone. The risky part is that of the
    base weights; until the first answer the vault stays where it started, at the base weights.
    """

    vault: VaultConfig
    weigh: Weigh
    lookback_bars: int
    every_bars: int
    name: str

    @property
    def start(self) -> Mapping[str, Decimal]:
        return {asset.symbol: asset.base_weight for asset in self.vault.assets}

    def target(self, moment: Moment) -> Target:
        last, weights = moment.last, None
        if self._is_due(moment.bar):
            weights = self._weights(moment.history.last(self.lookback_bars + 1))
        if weights is None:
            usable = last is not None and last.usable
            return _target(self.vault, moment, last.weights if last else self.start, self.name, usable)
        return _target(self.vault, moment, weights, self.name)

    def targets(self, bars: Bars, tape: ScoreTape) -> FloatTargets:
        out = np.tile(as_row(self.vault, self.start), (len(bars), 1))
        usable = np.zeros(len(bars), dtype=np.bool_)
        row: FloatArray | None = None
        for t in range(self.lookback_bars, len(bars), self.every_bars):
            weights = self._weights(bars.filled[t - self.lookback_bars : t + 1])
            row = row if weights is None else as_row(self.vault, weights)
            if row is not None:
                out[t : t + self.every_bars], usable[t : t + self.every_bars] = row, True
        return FloatTargets(out, usable, bars.times_us)

    def _is_due(self, bar: int) -> bool:
        return bar >= self.lookback_bars and (bar - self.lookback_bars) % self.every_bars == 0

    def _weights(self, closes: FloatArray) -> dict[str, Decimal] | None:
        risky = [i for i, asset in enumerate(self.vault.assets) if not asset.stable]
        shares = self.weigh(np.diff(np.log(closes[:, risky]), axis=0))
        if shares is None:
            return None
        if shares.shape != (len(risky),) or not (shares >= 0).all() or abs(float(shares.sum()) - 1.0) > 1e-6:
            raise ValueError(f"{self.name}: shares must be {len(risky)} numbers >= 0 that sum to 1, not {shares}")
        part = sum((self.vault.assets[i].base_weight for i in risky), Decimal(0))
        out = {asset.symbol: asset.base_weight for asset in self.vault.assets}
        for i, share in zip(risky, shares.tolist(), strict=True):
            weight = Decimal(repr(share)) * part
            out[self.vault.assets[i].symbol] = weight.quantize(QUANTUM, rounding=ROUND_DOWN)
        cash = stable_leg(self.vault)
        out[cash] += ONE - sum(out.values(), Decimal(0))
        return out


def inverse_volatility(returns: FloatArray) -> FloatArray | None:
    """Shares proportional to 1 / standard deviation of (n, k) returns; None where a leg did not move."""
    deviation = returns.std(axis=0, ddof=1)
    if not (deviation > 0).all():
        return None
    return np.asarray((1.0 / deviation) / (1.0 / deviation).sum())


def _target(
    vault: VaultConfig, moment: Moment, weights: Mapping[str, Decimal], name: str, usable: bool = True
) -> Target:
    # Without a score there is still a word to act on; NaN is no number that could be mistaken for one.
    return Target(vault.id, moment.now, PolicyState.RISK_ON, weights, (name,), math.nan, f"{name}-1", usable)


def _constant(vault: VaultConfig, bars: Bars, weights: Mapping[str, Decimal], usable: bool = True) -> FloatTargets:
    table = np.tile(as_row(vault, weights), (len(bars), 1))
    return FloatTargets(table, np.full(len(bars), usable), bars.times_us)
