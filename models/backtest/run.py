"""Run a strategy over bars and scores: exactly, or fast in floats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.allocation.policy import check_vault, stable_leg
from models.backtest.bars import Bars
from models.backtest.engine import Engine, Execution
from models.backtest.kernel import Limits, Market, room_for, simulate
from models.backtest.mixes import as_row
from models.backtest.records import BacktestRun, Tick, Trade
from models.backtest.strategy import FloatTargets, Strategy
from models.backtest.tape import ScoreTape
from models.contracts.score import Score
from models.contracts.vault import VaultConfig

FloatArray = NDArray[np.float64]

DEFAULT = Execution()


def run(
    strategy: Strategy, bars: Bars, scores: Sequence[Score] | ScoreTape = (), execution: Execution = DEFAULT
) -> BacktestRun:
    """The exact run, through the functions of the keeper, with every tick.

    Parameters
    ----------
    bars : columns in the order of the vault's legs.
    scores : of the vault, in any order; each counts from the moment it could be known.

    Raises
    ------
    ValueError
        If the columns are not the vault's legs, or an impact is asked for and the bars know no depth.
    PolicyError
        If the vault's configuration is impossible.
    """
    _check(strategy.vault, bars, execution)
    tape = scores if isinstance(scores, ScoreTape) else ScoreTape(scores)
    engine = Engine(strategy, execution)
    newest = tape.positions(bars.times_us)
    steps = [
        engine.step(bar, tape.scores[position] if position >= 0 else None)
        for bar, position in zip(bars, newest, strict=True)
    ]
    return _course(
        strategy,
        bars,
        np.array([float(step.state.tvl_usd) for step in steps]),
        np.array([as_row(strategy.vault, step.state.weights) for step in steps]),
        tuple(step.trade for step in steps if step.trade is not None),
        tuple(step.tick for step in steps),
    )


def run_fast(
    strategy: Strategy, bars: Bars, scores: Sequence[Score] | ScoreTape = (), execution: Execution = DEFAULT
) -> BacktestRun:
    """The same in floats, without ticks: equal to `run` up to rounding (weights of 1e-8), unless a drift meets a limit
    to within that."""
    tape = scores if isinstance(scores, ScoreTape) else ScoreTape(scores)
    return run_targets(strategy, bars, strategy.targets(bars, tape), execution)


def run_targets(strategy: Strategy, bars: Bars, targets: FloatTargets, execution: Execution) -> BacktestRun:
    """As `run_fast` with given targets, such as those of another time (`placebo`)."""
    _check(strategy.vault, bars, execution)
    vault, costs, n = strategy.vault, execution.costs, len(bars)
    nothing = np.zeros((1, len(bars.symbols)))
    fill_share = np.ones(n) if bars.fill_share is None else bars.fill_share
    market = Market(
        bars.times_us,
        bars.filled,
        bars.priced if bars.halted is None else bars.priced & ~bars.halted,
        np.ones(n, dtype=np.bool_) if bars.keeper_up is None else bars.keeper_up,
        fill_share,
        np.full(n, costs.fixed) if bars.spread_multiplier is None else costs.fixed_at(bars.spread_multiplier),
        nothing if bars.sigma_day is None else bars.sigma_day,
        nothing if bars.depth_usd is None else bars.depth_usd,
    )
    course = room_for(n, len(bars.symbols))
    count = simulate(
        market,
        targets.weights,
        targets.usable,
        targets.said,
        np.full(n, np.nan) if targets.sigma_ann is None else targets.sigma_ann,
        as_row(vault, strategy.start),
        bars.symbols.index(stable_leg(vault)),
        float(execution.capital_usd),
        limits_of(vault, execution),
        course,
    )
    fill_bars, fills = course.fill_bars[:count], course.fills[:count]
    trades = tuple(
        Trade(sent, done, planned, moved, notional, cost, float(fill_share[done]))
        for (sent, done), (planned, moved, notional, cost) in zip(fill_bars.tolist(), fills.tolist(), strict=True)
    )
    return _course(strategy, bars, course.equity, course.weights, trades, ())


def limits_of(vault: VaultConfig, execution: Execution) -> Limits:
    """Limits of a vault and terms of its orders, as the kernel reads them."""
    limits = vault.limits
    return Limits(
        execution.latency_bars,
        execution.costs.impact_kappa,
        float(limits.dead_zone),
        float(limits.max_step),
        float(limits.max_turnover_day),
        limits.cooldown_s * 1_000_000,
        limits.dwell_scores,
        -1 if limits.cooldown_reduce_s is None else limits.cooldown_reduce_s * 1_000_000,
        limits.min_benefit,
        limits.cost_bps * 1e-4,
        float(limits.cost_usd),
        float(1 - next(asset.base_weight for asset in vault.assets if asset.stable)),
        math.inf if limits.max_action_usd is None else float(limits.max_action_usd),
        math.inf if limits.max_day_usd is None else float(limits.max_day_usd),
    )


def _course(
    strategy: Strategy,
    bars: Bars,
    equity: FloatArray,
    weights: FloatArray,
    trades: tuple[Trade, ...],
    ticks: tuple[Tick, ...],
) -> BacktestRun:
    risky = np.array([not asset.stable for asset in strategy.vault.assets])
    exposure = weights[:, risky].sum(axis=1)
    return BacktestRun(strategy.name, bars.symbols, bars.close_at, bars.days, equity, weights, exposure, trades, ticks)


def _check(vault: VaultConfig, bars: Bars, execution: Execution) -> None:
    check_vault(vault)
    if execution.costs.impact_kappa and (bars.sigma_day is None or bars.depth_usd is None):
        raise ValueError("an impact needs sigma_day and depth_usd of the bars")
    legs = tuple(asset.symbol for asset in vault.assets)
    if bars.symbols != legs:
        raise ValueError(f"vault {vault.id}: bars price {bars.symbols}, its legs are {legs}")
