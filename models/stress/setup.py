"""What is simulated: a vault, where its paths come from, what its score is like, how orders are carried out.

Here: the description, its validation, and its translation for the kernels. Nothing is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.allocation.policy import check_vault
from models.allocation.weights import is_allocation
from models.backtest.engine import Execution
from models.backtest.mixes import as_row
from models.backtest.run import limits_of
from models.backtest.target_kernel import Rule, rule_of
from models.contracts.vault import VaultConfig
from models.stress.generator import Kernels, PathGenerator
from models.stress.path_score import PathScore
from models.stress.vault_kernels import VaultTerms

FloatArray = NDArray[np.float64]

DAY_US = 86_400_000_000
_LEAST = {"sigma_day": "0 or more", "depth_usd": "above 0"}


@dataclass(frozen=True, slots=True)
class Leverage:
    """A holder who has borrowed against his shares of the vault. `multiple`: assets over own money, above 1.
    `maintenance`: equity over assets below which the lender sells, 0 or more and below 1 / multiple."""

    multiple: float
    maintenance: float = 0.0

    def __post_init__(self) -> None:
        if not (self.multiple > 1.0 and 0.0 <= self.maintenance < 1.0 / self.multiple):
            raise ValueError(
                f"leverage: multiple {self.multiple} must be above 1 and maintenance {self.maintenance} at least 0 and "
                "below 1 / multiple: otherwise the lender sells at the start"
            )


@dataclass(frozen=True)
class Setup:
    """A simulation before its paths.

    Parameters
    ----------
    vault : legs, policy and limits
    generator : of log returns a step
    columns : symbol of a leg -> asset of the generator; a leg without a name here moves by conditions alone (stable)
    score : forecast along a path, fitted to the past of the base weights
    steps : of a path; `steps_per_day` 24 = hours, 1 = days: cooldown, turnover a day and age of a score count in time
    execution : costs, latency in steps, capital
    start : weights at the first close; None = base weights
    is_on : state of the on/off rule at the first close
    leverage : of a holder; None = nobody is liquidated
    ruin_loss : share of the start whose loss at any close is ruin
    sigma_day, depth_usd : by symbol, daily volatility and dollars within reach, read only with an impact of trades; a
        swap meets sigma_day times the multiplier and depth_usd times the share of its step

    Raises
    ------
    PolicyError
        The vault's configuration is impossible.
    ValueError
        Anything else that does not fit; the message names it.
    """

    vault: VaultConfig
    generator: PathGenerator
    columns: Mapping[str, int]
    score: PathScore
    steps: int
    steps_per_day: int = 24
    execution: Execution = field(default_factory=Execution)
    start: Mapping[str, Decimal] | None = None
    is_on: bool = True
    leverage: Leverage | None = None
    ruin_loss: float = 0.5
    sigma_day: Mapping[str, float] | None = None
    depth_usd: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        check_vault(self.vault)
        symbols = {asset.symbol for asset in self.vault.assets}
        if self.steps < 1:
            raise ValueError(f"steps: a path needs one, got {self.steps}")
        if self.steps_per_day not in (1, 24):
            raise ValueError(f"steps_per_day: 24 (hours) or 1 (days), not {self.steps_per_day}")
        if self.score.terms.steps_per_day != self.steps_per_day:
            raise ValueError("score: it was fitted to steps of another length")
        if not set(self.columns) <= symbols:
            raise ValueError(f"columns: {sorted(set(self.columns) - symbols)} are no legs of vault {self.vault.id}")
        if not all(0 <= column < self.generator.assets for column in self.columns.values()):
            raise ValueError(f"columns: the generator draws assets 0 to {self.generator.assets - 1}")
        if self.start is not None and not (set(self.start) == symbols and is_allocation(self.start)):
            raise ValueError("start: a weight of 0 or more for every leg, 1 in sum")
        if not 0.0 < self.ruin_loss < 1.0:
            raise ValueError(f"ruin_loss must lie between 0 and 1, not {self.ruin_loss}")
        for name in ("sigma_day", "depth_usd"):
            given = getattr(self, name)
            if self.execution.costs.impact_kappa and not (given is not None and symbols <= set(given)):
                raise ValueError(f"{name}: an impact needs it for every leg")
            for symbol, value in (given or {}).items():
                if not (math.isfinite(value) and (value > 0.0 or (name == "sigma_day" and value == 0.0))):
                    raise ValueError(f"{name}: that of {symbol} must be {_LEAST[name]} and finite, not {value}")

    @cached_property
    def kernels(self) -> Kernels:
        """Of the generator at these steps: made once for all runs of a setup."""
        return self.generator.kernels(self.steps)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Legs in the vault's order, which is that of the assets of conditions."""
        return tuple(asset.symbol for asset in self.vault.assets)


def terms_of(setup: Setup) -> VaultTerms:
    """The same as the kernels read it; the mix is still to be said."""
    vault, costs = setup.vault, setup.execution.costs
    rule = rule_of(vault)
    start = rule.base if setup.start is None else as_row(vault, setup.start)
    legs, lends = len(vault.assets), setup.leverage
    return VaultTerms(
        _on_forecasts(rule, setup.score),
        limits_of(vault, setup.execution),
        start,
        setup.is_on,
        np.array([setup.columns.get(symbol, -1) for symbol in setup.symbols], dtype=np.int64),
        float(setup.execution.capital_usd),
        costs.half_spread_bps / 10_000,
        costs.slippage_bps / 10_000,
        _row(setup.sigma_day, setup.symbols),
        _row(setup.depth_usd, setup.symbols),
        np.arange(setup.steps + 1, dtype=np.int64) * (DAY_US // setup.steps_per_day),
        vault.limits.max_score_age_s * 1_000_000,
        np.zeros((1, legs)),
        setup.score.lag_steps,
        setup.score.every_steps,
        0.0 if lends is None else lends.multiple,
        0.0 if lends is None else lends.maintenance,
    )


def _on_forecasts(rule: Rule, score: PathScore) -> Rule:
    """The on/off rule compares ln F: the score grows with it, and the kernel is spared its law."""
    if not rule.on_off:
        return rule
    return rule._replace(enter=score.log_forecast_at(rule.enter), leave=score.log_forecast_at(rule.leave))


def _row(by_symbol: Mapping[str, float] | None, symbols: tuple[str, ...]) -> FloatArray:
    return np.array([0.0 if by_symbol is None else by_symbol[symbol] for symbol in symbols])
