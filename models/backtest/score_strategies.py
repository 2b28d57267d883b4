"""The live policies as strategies: they ask `models.allocation.policy.propose_target`, as the pipeline does.

Which of the policies it is, the vault says. The float twins serve the fast path; a test holds them to the exact ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from models.allocation.policy import propose_target, stable_leg
from models.backtest.bars import Bars
from models.backtest.strategy import FloatTargets, Moment
from models.backtest.tape import ScoreTape
from models.contracts.vault import PolicyName, Target, VaultConfig

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    """The policy of a vault, fed with its scores. Starts at the base weights."""

    vault: VaultConfig

    @property
    def name(self) -> str:
        return str(self.vault.policy)

    @property
    def start(self) -> Mapping[str, Decimal]:
        return {asset.symbol: asset.base_weight for asset in self.vault.assets}

    def target(self, moment: Moment) -> Target:
        last = moment.last
        return propose_target(
            self.vault, moment.score, last.state if last else None, moment.now, last.weights if last else None
        )

    def targets(self, bars: Bars, tape: ScoreTape) -> FloatTargets:
        now = bars.times_us
        position = tape.positions(now)
        if not len(tape):
            none = np.zeros(len(bars), dtype=np.bool_)
            return FloatTargets(np.tile(self._base(), (len(bars), 1)), none, now)
        there = np.maximum(position, 0)
        trusted = (position >= 0) & self._trusted(tape)[there]
        trusted &= now - tape.as_of_us[there] <= self.vault.limits.max_score_age_s * 1_000_000
        if self.vault.policy is PolicyName.VOLATILITY_TARGET:
            weights = self._scaled(np.where(trusted, tape.sigma_ann[there], np.nan))
        else:
            weights = self._on_off(np.where(trusted, tape.value[there], np.nan))
        said = np.where(position >= 0, tape.as_of_us[there], now)
        return FloatTargets(weights, trusted & (now <= tape.valid_until_us[there]), said)

    def _trusted(self, tape: ScoreTape) -> BoolArray:
        """(m,) whether a score may be acted on while it is fresh."""
        enough = tape.sound & (tape.share_imputed <= self.vault.limits.max_share_imputed) & np.isfinite(tape.value)
        if self.vault.policy is PolicyName.VOLATILITY_TARGET:
            enough &= np.isfinite(tape.sigma_ann) & (tape.sigma_ann > 0)
        return enough

    def _on_off(self, score: FloatArray) -> FloatArray:
        limits = self.vault.limits
        said = np.where(score > limits.enter_score, 0, np.where(score < limits.leave_score, 1, -1))
        heard = np.maximum.accumulate(np.where(said >= 0, np.arange(len(said)), -1))
        is_on = (heard >= 0) & (said[np.maximum(heard, 0)] == 1)  # a vault counts as risk off until told otherwise
        safe = np.array([float(asset.symbol == stable_leg(self.vault)) for asset in self.vault.assets])
        return np.where(is_on[:, None], self._base(), safe)

    def _scaled(self, sigma_ann: FloatArray) -> FloatArray:
        limits = self.vault.limits
        assert limits.target_sigma_ann is not None  # the policy's own check asks for it
        with np.errstate(invalid="ignore"):
            share = np.fmin(float(limits.max_exposure), limits.target_sigma_ann / sigma_ann)
        out = self._base() * share[:, None]
        stable = [leg for leg, asset in enumerate(self.vault.assets) if asset.stable]
        room = 1.0 - out.sum(axis=1) + out[:, stable].sum(axis=1)
        cash, *others = stable
        for leg in others:
            out[:, leg] = np.minimum(float(self.vault.assets[leg].base_weight), room)
            room = room - out[:, leg]
        out[:, cash] = room
        return out

    def _base(self) -> FloatArray:
        return np.array([float(asset.base_weight) for asset in self.vault.assets])
