"""The engine in floats, compiled: the arithmetic of `holdings`, `policy.decide` and the guards, bar by bar.

A second writing of rules that are exact elsewhere, for the hundreds of runs of a placebo or a search. It has no say:
what is published of the live policies comes from the exact engine, and a test holds this one to it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.backtest.costs import cost_rate

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

DAY_US = 86_400_000_000
FINEST = 5e-9  # half of the step of an exact weight: a smaller drift is none


@njit(cache=True, nogil=True)
def simulate(
    prices: FloatArray,
    priced: BoolArray,
    times_us: IntArray,
    wanted: FloatArray,
    usable: BoolArray,
    said: IntArray,
    keeper_up: BoolArray,
    fill_share: FloatArray,
    sigma_day: FloatArray,
    depth_usd: FloatArray,
    start: FloatArray,
    cash: int,
    capital: float,
    latency: int,
    fixed: float,
    kappa: float,
    dead_zone: float,
    max_step: float,
    max_turnover_day: float,
    cooldown_us: int,
) -> tuple[FloatArray, FloatArray, IntArray, FloatArray]:
    """Run n bars of k legs.

    Parameters
    ----------
    prices : (n, k) without NaN, gaps filled forward; `priced` (n,) whether every leg had a print of its own.
    wanted, usable, said : targets, as in `FloatTargets`.
    sigma_day, depth_usd : (n, k), read only where `kappa` is not 0; then (1, k) will do.
    start : (k,) weights at the first bar; `cash`: column of the stable leg.

    Returns
    -------
    equity (n,), weights (n, k), and of each fill, in order, (m, 2) bars of decision and fill, and (m, 4) planned and
    carried-out turnover, dollars swapped, dollars paid.
    """
    n, k = prices.shape
    equity, weights = np.empty(n), np.empty((n, k))
    fill_bars, fills = np.empty((n, 2), np.int64), np.empty((n, 4))
    action_us, action_turnover = np.empty(n, np.int64), np.empty(n)
    units = start * capital / prices[0]
    sell, buy = np.zeros(k), np.zeros(k)
    held, aim = np.empty(k), np.empty(k)
    is_out, acted = False, False
    acted_on, sent_bar, sent_turnover = 0, 0, 0.0
    count = done = first = 0
    for t in range(n):
        total = 0.0
        for a in range(k):
            total += units[a] * prices[t, a]
        if is_out and t >= sent_bar + latency and priced[t]:
            is_out = False
            share = fill_share[t]
            money = units[cash] * prices[t, cash]
            sold = bought = paid = 0.0
            for a in range(k):
                if sell[a] > 0.0:
                    tokens = min(units[a], sell[a] * share)
                    notional = tokens * prices[t, a]
                    row = t if kappa != 0.0 else 0
                    cost = notional * cost_rate(fixed, kappa, notional, sigma_day[row, a], depth_usd[row, a])
                    units[a] -= tokens
                    money += notional - cost
                    sold += notional
                    paid += cost
            spend = buy.sum() * share
            scale = min(share, share * money / spend) if spend > 0.0 else 0.0
            for a in range(k):
                if buy[a] > 0.0:
                    notional = min(buy[a] * scale, money)
                    row = t if kappa != 0.0 else 0
                    cost = notional * cost_rate(fixed, kappa, notional, sigma_day[row, a], depth_usd[row, a])
                    units[a] += (notional - cost) / prices[t, a]
                    money -= notional
                    bought += notional
                    paid += cost
            units[cash] = money / prices[t, cash]
            if share > 0.0:
                action_us[count], action_turnover[count] = times_us[sent_bar], sent_turnover
                count += 1
            fill_bars[done, 0], fill_bars[done, 1] = sent_bar, t
            fills[done, 0], fills[done, 1] = sent_turnover, max(sold, bought) / total
            fills[done, 2], fills[done, 3] = sold + bought, paid
            done += 1
            total -= paid
        equity[t] = total
        for a in range(k):
            held[a] = units[a] * prices[t, a] / total
            weights[t, a] = held[a]

        if not (keeper_up[t] and usable[t] and priced[t]) or is_out:
            continue
        drift = 0.0
        for a in range(k):
            drift += abs(wanted[t, a] - held[a])
        drift /= 2.0
        if drift < max(dead_zone, FINEST):
            continue
        if count > 0 and times_us[t] - action_us[count - 1] < cooldown_us:
            continue
        while first < count and action_us[first] <= times_us[t] - DAY_US:
            first += 1
        today = 0.0
        for i in range(first, count):
            today += action_turnover[i]
        step = min(max_step, max_turnover_day - today)
        if step <= 0.0 or step < min(dead_zone, drift):
            continue
        if acted and said[t] == acted_on:
            continue
        part = 1.0 if drift <= step else step / drift
        for a in range(k):
            aim[a] = wanted[t, a] if part == 1.0 else held[a] + (wanted[t, a] - held[a]) * part
            move = aim[a] - held[a]
            sell[a], buy[a] = 0.0, 0.0
            if a == cash:
                continue
            if move > 0.0:
                buy[a] = move * total
            elif move < 0.0:
                sell[a] = units[a] if aim[a] == 0.0 else min(units[a], -move * total / prices[t, a])
        is_out, acted, acted_on = True, True, said[t]
        sent_bar, sent_turnover = t, min(drift, step)
    return equity, weights, fill_bars[:done], fills[:done]
