"""Vaults on given paths, and the same lived through by the exact engine and by plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal as D
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.allocation.policy import propose_target
from models.backtest.bars import Bars
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.records import BacktestRun
from models.backtest.run import run
from models.backtest.score_strategies import ScorePolicy
from models.backtest.strategy import Moment
from models.contracts.score import Score
from models.contracts.vault import PolicyName, PolicyState, Target, VaultAsset, VaultConfig, VaultLimits
from models.stress.conditions import Conditions
from models.stress.generator import Kernels, PathGenerator
from models.stress.path_score import PathScore, ScoreTerms
from models.stress.setup import Setup
from models.volatility.law import Law
from tests.models.backtest.worlds import START, a_score
from tests.models.stress import slow_paths

FloatArray = NDArray[np.float64]

ASSETS = (
    VaultAsset("BTC", "BTC", D("0.45")),
    VaultAsset("USDC", None, D("0.15"), stable=True),
    VaultAsset("ETH", "ETH", D("0.3")),
    VaultAsset("EURC", None, D("0.1"), stable=True),
)
SYMBOLS = tuple(asset.symbol for asset in ASSETS)
SIGMA_DAY = dict(zip(SYMBOLS, (0.04, 0.001, 0.05, 0.004), strict=True))
DEPTH_USD = dict(zip(SYMBOLS, (5e6, 1e8, 2e6, 1e7), strict=True))


class GivenPaths(PathGenerator):
    """Path i is row i of a (paths, steps, assets) table, whatever the seed."""

    name = "given"

    def __init__(self, table: FloatArray) -> None:
        self.table = np.ascontiguousarray(np.moveaxis(table, 2, 1))

    @property
    def assets(self) -> int:
        return int(self.table.shape[1])

    def kernels(self, steps: int) -> Kernels:
        assert steps == self.table.shape[2]

        def fill(key: np.uint64, first: int, out: FloatArray) -> None:
            out[:] = self.table[first : first + len(out)]

        return Kernels(fill, fill)


def a_path_score(steps_per_day: int = 24, **changes: Any) -> PathScore:
    """A forecast that answers to hours, around a variance of (3 %)^2 a day."""
    rng = np.random.default_rng(0)
    per_day = np.array([0.3, 1.0, 5.0]) * steps_per_day
    terms = ScoreTerms(
        per_day / (1.0 + per_day),
        -0.4,
        np.array([0.5, 0.3, 0.15]),
        np.array([0.0008, 0.001, 0.0012]),
        steps_per_day,
        changes.pop("noise_sd", 0.0),
    )
    errors = Law(tuple(rng.normal(-0.1, 0.5, 300).tolist()))
    return replace(PathScore(terms, errors, math.log(0.0016)), **changes)


def a_setup(table: FloatArray, **changes: Any) -> Setup:
    """Two coins and two stable legs on hours; `table` moves the coins, and EURC where it has a third asset."""
    columns = dict(zip(("BTC", "ETH", "EURC"), range(table.shape[2]), strict=False))
    limits = changes.pop("limits", VaultLimits())
    vault = changes.pop("vault", VaultConfig("mixed", "devnet", None, ASSETS, limits, PolicyName.ON_OFF))
    score = changes.pop("score", a_path_score(changes.get("steps_per_day", 24)))
    return Setup(vault, GivenPaths(table), columns, score, table.shape[1], **changes)


def a_coin(table: FloatArray, **changes: Any) -> Setup:
    """All in one coin, whose score never asks for anything else: the vault is the coin, (paths, steps) log returns."""
    assets = (VaultAsset("USDC", None, D(0), stable=True), VaultAsset("BTC", "BTC", D(1)))
    vault = VaultConfig("coin", "devnet", None, assets, VaultLimits(), PolicyName.ON_OFF)
    score = changes.pop("score", a_path_score(changes.get("steps_per_day", 24), log_threshold=50.0))
    return Setup(vault, GivenPaths(table[:, :, None]), {"BTC": 0}, score, table.shape[1], **changes)


def random_conditions(paths: int, steps: int, legs: int = 4, seed: int = 0) -> Conditions:
    """Everything at once, everywhere."""
    rng = np.random.default_rng(seed)
    shape = (paths, steps)
    return Conditions(
        np.where(rng.random((paths, steps, legs)) < 0.01, rng.normal(-0.05, 0.05, (paths, steps, legs)), 0.0),
        np.where(rng.random(shape) < 0.2, rng.uniform(1, 4, shape), 1.0),
        np.where(rng.random(shape) < 0.2, rng.uniform(1, 20, shape), 1.0),
        np.where(rng.random(shape) < 0.2, rng.uniform(0.05, 1, shape), 1.0),
        rng.random(shape) < 0.05,
        rng.random(shape) < 0.3,
        np.where(rng.random(shape) < 0.1, rng.normal(0, 0.001, shape), 0.0),
    )


@dataclass(frozen=True)
class OnAPath:
    """The live policy with a memory from before the path."""

    policy: ScorePolicy
    state: PolicyState
    start: Mapping[str, D]

    @property
    def name(self) -> str:
        return self.policy.name

    @property
    def vault(self) -> VaultConfig:
        return self.policy.vault

    def target(self, moment: Moment) -> Target:
        last = moment.last
        state, weights = (last.state, last.weights) if last else (self.state, None)
        return propose_target(self.vault, moment.score, state, moment.now, weights)


def exact_run(setup: Setup, conditions: Conditions, path: int) -> BacktestRun:
    """The policy on one path through the exact engine, scores and all."""
    drawn = np.zeros((setup.steps, len(setup.symbols)))
    for symbol, column in setup.columns.items():
        drawn[:, setup.symbols.index(symbol)] = setup.generator.paths(1, setup.steps, 0, path)[0, :, column]
    returns = drawn * conditions.sigma_multiplier[path][:, None] + conditions.log_return[path]
    prices = np.exp(np.concatenate([np.zeros((1, drawn.shape[1])), np.cumsum(returns, axis=0)]))
    hours = 24 // setup.steps_per_day
    bars = Bars(
        setup.symbols,
        np.datetime64(START.replace(tzinfo=None), "us") + np.arange(setup.steps + 1) * np.timedelta64(hours, "h"),
        prices,
        _first(conditions.sigma_multiplier[path])[:, None] * [SIGMA_DAY[s] for s in setup.symbols],
        _first(conditions.depth_share[path])[:, None] * [DEPTH_USD[s] for s in setup.symbols],
        halted=np.concatenate([[False], conditions.halted[path]]),
        spread_multiplier=_first(conditions.half_spread_multiplier[path]),
    )
    base = np.array([float(asset.base_weight) for asset in setup.vault.assets])
    forecast = slow_paths.log_forecast(setup.score.terms, returns @ base)
    scores = scores_on(setup, forecast, conditions.score_stale[path].tolist())
    start = setup.start or {asset.symbol: asset.base_weight for asset in setup.vault.assets}
    state = PolicyState.RISK_ON if setup.is_on else PolicyState.RISK_OFF
    return run(OnAPath(ScorePolicy(setup.vault), state, start), bars, scores, setup.execution)


def scores_on(setup: Setup, forecast: list[float], stale: list[bool]) -> list[Score]:
    """What would have been published: each score issued `lag_steps` after its close, those before the path as well."""
    lag, every, hours = setup.score.lag_steps, setup.score.every_steps, 24 // setup.steps_per_day
    out = []
    for made in range(-lag, len(forecast)):
        if made > -lag and (made % every or (made > 0 and stale[made - 1])):
            continue
        value = forecast[max(made, 0)]
        score = float(setup.score.score(np.array([value]))[0])
        sigma = math.sqrt(365.0 * math.exp(value))
        late, valid = lag * hours, setup.vault.limits.max_score_age_s / 3600
        out.append(a_score(made * hours, score, sigma, late_h=late, valid_h=valid))
    return out


def an_execution(rng: np.random.Generator) -> Execution:
    costs = Costs(rng.uniform(1, 10), rng.uniform(1, 10), float(rng.choice([0.0, 0.7])))
    return Execution(costs, int(rng.integers(1, 3)), D(str(rng.choice([1e4, 1e6]))))


def _first(by_step: FloatArray) -> FloatArray:
    return np.concatenate([[1.0], by_step])
