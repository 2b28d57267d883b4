"""The engine in floats, compiled: the arithmetic of `holdings`, `policy.decide` and the guards, bar by bar.

A second writing of rules that are exact elsewhere, for the hundreds of runs of a placebo or a search. It has no say:
what is published of the live policies comes from the exact engine, and a test holds this one to it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.backtest.costs import cost_rate

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

DAY_US = 86_400_000_000
DAYS_A_YEAR = 365.0
FINEST = 5e-9  # half of the step of an exact weight: a smaller drift is none


class Limits(NamedTuple):
    """Limits of a vault and terms of its orders: floats and integers as the kernel reads them.

    `latency` in bars, `kappa` of the impact, `cooldown_us` in microseconds, the others shares of the vault.
    `dwell` in scores, `cooldown_reduce_us` of moves into the stable leg. `min_benefit` 0 = benefits are not weighed;
    `cost` per dollar swapped and `cost_usd` per action are what they are weighed against, `risky` the base weights
    outside the stable leg. `max_action_usd`, `max_day_usd` dollars of turnover.
    """

    latency: int
    kappa: float
    dead_zone: float
    max_step: float
    max_turnover_day: float
    cooldown_us: int
    dwell: int
    cooldown_reduce_us: int
    min_benefit: float
    cost: float
    cost_usd: float
    risky: float
    max_action_usd: float
    max_day_usd: float


class Market(NamedTuple):
    """n bars of k legs as the kernel reads them.

    `prices` (n, k) without NaN, gaps filled forward. `open` (n,): every leg had a print of its own and nothing was
    halted. `fixed` (n,): cost per dollar without impact. `sigma_day`, `depth_usd` (n, k), read only with impact; then
    (1, k) will do.
    """

    times_us: IntArray
    prices: FloatArray
    open: BoolArray
    keeper_up: BoolArray
    fill_share: FloatArray
    fixed: FloatArray
    sigma_day: FloatArray
    depth_usd: FloatArray


class Course(NamedTuple):
    """What the kernel leaves behind: `equity` (n,), `weights` (n, k), and of each fill, in order, `fill_bars` (n, 2)
    bars of decision and fill and `fills` (n, 4) planned and carried-out turnover, dollars swapped, dollars paid. Rows
    of fills beyond the returned number mean nothing."""

    equity: FloatArray
    weights: FloatArray
    fill_bars: IntArray
    fills: FloatArray


@njit(cache=True, nogil=True)
def room_for(bars: int, legs: int) -> Course:
    """Arrays for the course of `bars` bars of `legs` legs."""
    return Course(np.empty(bars), np.empty((bars, legs)), np.empty((bars, 2), np.int64), np.empty((bars, 4)))


@njit(cache=True, nogil=True)
def simulate(
    market: Market,
    wanted: FloatArray,
    usable: BoolArray,
    said: IntArray,
    sigma_ann: FloatArray,
    start: FloatArray,
    cash: int,
    capital: float,
    limits: Limits,
    course: Course,
) -> int:
    """Run n bars of k legs into `course`.

    Parameters
    ----------
    wanted, usable, said, sigma_ann : targets, as in `FloatTargets`, with NaN for a volatility that is not said.
    start : (k,) weights at the first bar; `cash`: column of the stable leg.
    capital : dollars at the first bar.

    Returns
    -------
    Number of fills.
    """
    prices, times_us = market.prices, market.times_us
    n, k = prices.shape
    equity, weights, fill_bars, fills = course.equity, course.weights, course.fill_bars, course.fills
    kappa = limits.kappa
    units = start * capital / prices[0]
    sell, buy = np.zeros(k), np.zeros(k)
    held = np.empty(k)
    is_out, acted = False, False
    acted_on, sent_bar, sent_turnover = 0, 0, 0.0
    done = first = 0
    last_action = -1
    streak, streak_reduces, streak_said = 0, False, said[0] - 1
    for t in range(n):
        total = 0.0
        for a in range(k):
            total += units[a] * prices[t, a]
        if is_out and t >= sent_bar + limits.latency and market.open[t]:
            is_out = False
            share, fixed = market.fill_share[t], market.fixed[t]
            row = t if kappa != 0.0 else 0
            money = units[cash] * prices[t, cash]
            sold = bought = paid = 0.0
            for a in range(k):
                if sell[a] > 0.0:
                    tokens = min(units[a], sell[a] * share)
                    notional = tokens * prices[t, a]
                    cost = notional * cost_rate(
                        fixed, kappa, notional, market.sigma_day[row, a], market.depth_usd[row, a]
                    )
                    units[a] -= tokens
                    money += notional - cost
                    sold += notional
                    paid += cost
            spend = buy.sum() * share
            scale = min(share, share * money / spend) if spend > 0.0 else 0.0
            for a in range(k):
                if buy[a] > 0.0:
                    notional = min(buy[a] * scale, money)
                    cost = notional * cost_rate(
                        fixed, kappa, notional, market.sigma_day[row, a], market.depth_usd[row, a]
                    )
                    units[a] += (notional - cost) / prices[t, a]
                    money -= notional
                    bought += notional
                    paid += cost
            units[cash] = money / prices[t, cash]
            fill_bars[done, 0], fill_bars[done, 1] = sent_bar, t
            fills[done, 0], fills[done, 1] = sent_turnover, max(sold, bought) / total
            fills[done, 2], fills[done, 3] = sold + bought, paid
            done += 1
            if share > 0.0:
                last_action = sent_bar
            total -= paid
        equity[t], share_of_a_dollar = total, 1.0 / total
        for a in range(k):
            held[a] = units[a] * prices[t, a] * share_of_a_dollar
            weights[t, a] = held[a]

        if not (market.keeper_up[t] and usable[t] and market.open[t]) or is_out:
            continue
        drift = 0.0
        for a in range(k):
            drift += abs(wanted[t, a] - held[a])
        drift /= 2.0
        reduces = wanted[t, cash] > held[cash] + FINEST
        if drift < max(limits.dead_zone, FINEST):
            streak = 0
        elif streak == 0 or streak_reduces != reduces:
            streak, streak_reduces = 1, reduces
        elif said[t] > streak_said:
            streak += 1
        streak_said = max(streak_said, said[t])
        if streak == 0 or streak < limits.dwell:
            continue
        has_own = reduces and limits.cooldown_reduce_us >= 0
        cooldown_us = limits.cooldown_reduce_us if has_own else limits.cooldown_us
        if last_action >= 0 and times_us[t] - times_us[last_action] < cooldown_us:
            continue
        while first < done and times_us[fill_bars[first, 0]] <= times_us[t] - DAY_US:
            first += 1
        today = today_usd = 0.0
        for i in range(first, done):
            if market.fill_share[fill_bars[i, 1]] > 0.0:  # an order that failed moved nothing and binds nobody
                today += fills[i, 0]
                today_usd += fills[i, 0] * equity[fill_bars[i, 0]]
        step = min(limits.max_step, limits.max_turnover_day - today)
        if step <= 0.0 or step < min(limits.dead_zone, drift):
            continue
        dollars = min(limits.max_action_usd, limits.max_day_usd - today_usd)
        if dollars < min(step, drift) * total:
            least = min(min(limits.dead_zone, drift) * total, limits.max_action_usd, limits.max_day_usd)
            if dollars <= 0.0 or dollars < least:
                continue
            step = dollars / total
        if limits.min_benefit > 0.0 and sigma_ann[t] == sigma_ann[t]:
            share_moved = min(1.0, step / drift)
            safer = abs(wanted[t, cash] - held[cash]) * share_moved
            benefit = 0.0
            if limits.risky > 0.0:
                benefit = sigma_ann[t] / math.sqrt(DAYS_A_YEAR) * safer / limits.risky
            if benefit < limits.min_benefit * (min(drift, step) * limits.cost + limits.cost_usd / total):
                continue
        if acted and said[t] == acted_on:
            continue
        part = 1.0 if drift <= step else step / drift
        for a in range(k):
            aim = wanted[t, a] if part == 1.0 else held[a] + (wanted[t, a] - held[a]) * part
            move = aim - held[a]
            sell[a], buy[a] = 0.0, 0.0
            if a == cash:
                continue
            if move > 0.0:
                buy[a] = move * total
            elif move < 0.0:
                sell[a] = units[a] if aim == 0.0 else min(units[a], -move * total / prices[t, a])
        is_out, acted, acted_on = True, True, said[t]
        sent_bar, sent_turnover = t, min(drift, step)
    return done
