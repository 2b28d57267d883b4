"""A vault on simulated paths, compiled: prices from drawn returns and conditions, the score, the policy in the loop.

What moves the vault is `models.backtest.kernel.simulate` with the targets of `models.backtest.target_kernel`, the twins
that are held to the live decision functions. Here: what they are fed, and the figures of a path. Nothing depends on
another path, so shares and threads change nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.backtest.kernel import Limits, Market, room_for, simulate
from models.backtest.target_kernel import Rule, fill_targets
from models.stress.course_figures import COST, LIQUIDATION, TRADES, TURNOVER, liquidation, measure_course
from models.stress.path_score import ScoreTerms, fill_known, fill_log_forecast
from models.stress.shock_kernels import Arrays

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

HOLD, POLICY, MIX = 0, 1, 2
DAYS_A_YEAR = 365.0
SMALL = 1.0 / 16.0
# A leg loses at most all but 2e-9 of its worth in a step, and is never below 1e-12 of where it began: what an extreme
# shock leaves is worthless either way, and prices stay numbers that a share can be computed of.
MOST_MOVED, WORTHLESS = 20.0, 1e-12


class VaultTerms(NamedTuple):
    """A vault as the kernel reads it.

    `rule` with `enter` and `leave` on the scale of ln F; `start` (k,) weights at the first close, `is_on` state of the
    on/off rule then. `column` (k,): the generator's asset of each leg, -1 = it moves by conditions alone.
    `half_spread`, `slippage` per dollar; `sigma_day`, `depth_usd` (k,), read only with impact. `mix` (n, k): the
    constant mix. `lag`, `every`: of the score. `leverage`, `maintenance`: 0 = nobody lends.
    """

    rule: Rule
    limits: Limits
    start: FloatArray
    is_on: bool
    column: IntArray
    capital: float
    half_spread: float
    slippage: float
    sigma_day: FloatArray
    depth_usd: FloatArray
    times_us: IntArray
    max_age_us: int
    mix: FloatArray
    lag: int
    every: int
    leverage: float
    maintenance: float


@njit(cache=True, nogil=True)
def run_paths(
    vault: VaultTerms,
    score: ScoreTerms,
    key: np.uint64,
    first: int,
    drawn: FloatArray,
    shocked: Arrays,
    strategies: IntArray,
    figures: FloatArray,
    shown: IntArray,
    equity: FloatArray,
) -> None:
    """Paths first, first + 1, ... of some strategies.

    Parameters
    ----------
    key : of the score's noise
    drawn : (paths, assets, steps) log returns of the generator
    strategies : (s,) of HOLD, POLICY, MIX
    shown : (points,) closes at which equity is kept, 0 = the start

    Returns
    -------
    Nothing: `figures` (s, paths, 10) and `equity` (s, first paths, points), 1 = the start, are filled.
    """
    paths, _, steps = drawn.shape
    n, k = steps + 1, len(vault.column)
    course = room_for(n, k)
    prices, wanted, said = np.ones((n, k)), np.empty((n, k)), np.empty(n)
    vault_return, row, log_forecast, known = np.empty(steps), np.empty(steps), np.empty(n), np.empty(n, np.int64)
    usable, always, as_of = np.empty(n, np.bool_), np.ones(n, np.bool_), np.empty(n, np.int64)
    sigma_ann, unsaid = np.empty(n), np.full(n, np.nan)
    is_open, fill_share, fixed, exposure = np.ones(n, np.bool_), np.ones(n), np.empty(n), np.empty(n)
    rows = n if vault.limits.kappa != 0.0 else 1
    sigma_day, depth_usd = np.zeros((rows, k)), np.zeros((rows, k))
    market = Market(vault.times_us, prices, is_open, always, fill_share, fixed, sigma_day, depth_usd)
    for i in range(paths):
        _price(vault, drawn[i], shocked.log_return[i], shocked.sigma_multiplier[i], prices, vault_return, row)
        _trade_terms(vault, shocked, i, is_open, fixed, sigma_day, depth_usd)
        for j in range(len(strategies)):
            strategy, fills = strategies[j], 0
            if strategy == HOLD:
                _hold(vault.start, vault.capital, prices, vault.rule.stable, course.equity, exposure)
            elif strategy == POLICY:
                fill_log_forecast(score, vault_return, key, first + i, log_forecast)
                fill_known(vault.lag, vault.every, shocked.score_stale[i], known)
                _hear(vault, log_forecast, known, said, usable, as_of, sigma_ann)
                fill_targets(vault.rule, said, vault.is_on, wanted)
                fills = simulate(
                    market,
                    wanted,
                    usable,
                    as_of,
                    sigma_ann,
                    vault.start,
                    vault.rule.cash,
                    vault.capital,
                    vault.limits,
                    course,
                )
            else:
                fills = simulate(
                    market,
                    vault.mix,
                    always,
                    vault.times_us,
                    unsaid,
                    vault.mix[0],
                    vault.rule.cash,
                    vault.capital,
                    vault.limits,
                    course,
                )
            out = figures[j, i]
            if strategy != HOLD:
                _exposure(course.weights, vault.rule.stable, exposure)
            measure_course(course.equity, exposure, vault.capital, out)
            out[TURNOVER], out[COST] = 0.0, 0.0
            for fill in range(fills):
                out[TURNOVER] += course.fills[fill, 1]
                out[COST] += course.fills[fill, 3] / vault.capital
            out[TRADES] = fills
            out[LIQUIDATION] = liquidation(
                course.equity, shocked.funding[i], vault.capital, vault.leverage, vault.maintenance
            )
            if i < equity.shape[1]:
                for point in range(len(shown)):
                    equity[j, i, point] = course.equity[shown[point]] / vault.capital


@njit(cache=True, nogil=True)
def _price(
    vault: VaultTerms,
    drawn: FloatArray,
    added: FloatArray,
    multiplier: FloatArray,
    prices: FloatArray,
    vault_return: FloatArray,
    row: FloatArray,
) -> None:
    vault_return[:] = 0.0
    for a in range(len(vault.column)):
        asset, share, price = vault.column[a], vault.rule.base[a], 1.0
        for t in range(len(row)):
            row[t] = added[t, a]
        if asset >= 0:
            for t in range(len(row)):
                row[t] += drawn[asset, t] * multiplier[t]
        for t in range(len(row)):
            row[t] = min(max(row[t], -MOST_MOVED), MOST_MOVED)
        for t in range(len(row)):
            vault_return[t] += share * row[t]
        to_growth(row)
        for t in range(len(row)):
            price *= row[t]
            prices[t + 1, a] = price
        if not WORTHLESS <= price <= 1.0 / WORTHLESS:
            _bounded(row, prices[:, a])


@njit(cache=True, nogil=True)
def _bounded(growth: FloatArray, prices: FloatArray) -> None:
    """Prices of a leg between `WORTHLESS` and its inverse. A path that went beyond and came back by itself is left."""
    price = 1.0
    for t in range(len(growth)):
        price = min(max(price * growth[t], WORTHLESS), 1.0 / WORTHLESS)
        prices[t + 1] = price


@njit(cache=True, nogil=True)
def to_growth(row: FloatArray) -> None:
    """exp of (n,) log returns, in place. Where all of them are small nine terms of its series leave out less than is
    rounded off, and are computed for several steps at once: 12 of 30 ns that a step of five legs costs to price."""
    largest = 0.0
    for t in range(len(row)):
        largest = max(largest, abs(row[t]))
    if largest > SMALL:
        for t in range(len(row)):
            row[t] = math.exp(row[t])
        return
    for t in range(len(row)):
        x = row[t]
        tail = 1 / 24 + x * (1 / 120 + x * (1 / 720 + x * (1 / 5040 + x * (1 / 40320 + x / 362880))))
        row[t] = 1.0 + x * (1.0 + x * (1 / 2 + x * (1 / 6 + x * tail)))


@njit(cache=True, nogil=True)
def _trade_terms(
    vault: VaultTerms,
    shocked: Arrays,
    path: int,
    is_open: BoolArray,
    fixed: FloatArray,
    sigma_day: FloatArray,
    depth_usd: FloatArray,
) -> None:
    """What trading meets at each close; the close before the first step has usual terms."""
    has_impact = vault.limits.kappa != 0.0
    for t in range(len(fixed)):
        spread, depth, sigma = 1.0, 1.0, 1.0
        if t > 0:
            is_open[t] = not shocked.halted[path, t - 1]
            spread = shocked.half_spread_multiplier[path, t - 1]
            depth, sigma = shocked.depth_share[path, t - 1], shocked.sigma_multiplier[path, t - 1]
        fixed[t] = vault.half_spread * spread + vault.slippage
        if has_impact:
            for a in range(len(vault.column)):
                sigma_day[t, a], depth_usd[t, a] = vault.sigma_day[a] * sigma, vault.depth_usd[a] * depth


@njit(cache=True, nogil=True)
def _hear(
    vault: VaultTerms,
    log_forecast: FloatArray,
    known: IntArray,
    said: FloatArray,
    usable: BoolArray,
    as_of: IntArray,
    sigma_ann: FloatArray,
) -> None:
    """What the policy may trust at each close: the newest known forecast while it is fresh. Under the on/off rule its
    volatility is computed only where benefits are weighed."""
    step_us = vault.times_us[1] - vault.times_us[0]
    for t in range(len(known)):
        value = log_forecast[max(known[t], 0)]
        usable[t] = (t - known[t]) * step_us <= vault.max_age_us
        as_of[t] = vault.times_us[0] + known[t] * step_us
        sigma_ann[t] = np.nan
        if usable[t] and (not vault.rule.on_off or vault.limits.min_benefit > 0.0):
            sigma_ann[t] = math.sqrt(DAYS_A_YEAR * math.exp(value))
        if not usable[t]:
            said[t] = np.nan
        else:
            said[t] = value if vault.rule.on_off else sigma_ann[t]


@njit(cache=True, nogil=True)
def _hold(
    start: FloatArray, capital: float, prices: FloatArray, stable: BoolArray, equity: FloatArray, exposure: FloatArray
) -> None:
    for t in range(len(equity)):
        total = safe = 0.0
        for a in range(len(start)):
            value = start[a] * prices[t, a]
            total += value
            if stable[a]:
                safe += value
        equity[t], exposure[t] = total * capital, 1.0 - safe / total


@njit(cache=True, nogil=True)
def _exposure(weights: FloatArray, stable: BoolArray, out: FloatArray) -> None:
    for t in range(len(out)):
        out[t] = 0.0
        for a in range(len(stable)):
            if not stable[a]:
                out[t] += weights[t, a]
