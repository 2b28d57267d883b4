"""The live policies as strategies: they ask `models.allocation.policy.propose_target`, as the pipeline does.

Which of the policies it is, the vault says. The float twins serve the fast path; a test holds them to the exact ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from models.allocation.policy import needs_volatility, propose_target
from models.backtest.bars import Bars
from models.backtest.strategy import FloatTargets, Moment
from models.backtest.tape import ScoreTape
from models.backtest.target_kernel import fill_targets, rule_of
from models.contracts.vault import Target, VaultConfig

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
        rule = rule_of(self.vault)
        numbers = tape.value if rule.on_off else tape.sigma_ann
        weights = np.empty((len(bars), len(rule.base)))
        # A vault counts as risk off until it is told otherwise.
        fill_targets(rule, np.where(trusted, numbers[there], np.nan), False, weights)
        said = np.where(position >= 0, tape.as_of_us[there], now)
        sigma_ann = np.where(position >= 0, tape.sigma_ann[there], np.nan)
        return FloatTargets(weights, trusted & (now <= tape.valid_until_us[there]), said, sigma_ann)

    def _trusted(self, tape: ScoreTape) -> BoolArray:
        """(m,) whether a score may be acted on while it is fresh."""
        enough = tape.sound & (tape.share_imputed <= self.vault.limits.max_share_imputed) & np.isfinite(tape.value)
        if needs_volatility(self.vault):
            enough &= np.isfinite(tape.sigma_ann) & (tape.sigma_ann > 0)
        return enough

    def _base(self) -> FloatArray:
        return np.array([float(asset.base_weight) for asset in self.vault.assets])
