"""A simulated coin market: hourly bars, funding and open interest with the habits of real ones.

Log volatility has a slow and a fast part (so that HAR terms can learn it), a Markov regime, a part of each coin and
a time of day; large moves and losses feed back into it (EGARCH with leverage). Returns share a market factor and
have Student-t tails. Prices drift back to a long-run level, so that years can be played without running away.

The market is made in blocks of 30 days from its beginning; a block depends on the seed, its number and the state
before it, never on what was asked. Here: numbers by hour. Faults are planted by the caller's script, names and
times of rows are given by the market source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models.stress.processes import (
    Array,
    autoregress,
    bridge_extremes,
    heavy_tailed,
    markov_states,
    stationary_shock,
    surprise,
)
from models.stress.script import COINS, GENESIS, events_of
from models.stress.streams import stream

BLOCK_HOURS = 720
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CoinTraits:
    """`sigma`: log return of a usual hour. `volume`: coins an hour. `open_interest`: coins. `decimals`: of a price."""

    price: float
    sigma: float
    factor_loading: float
    volume: float
    trade_size: float
    open_interest: float
    decimals: int


COIN_TRAITS: Mapping[str, CoinTraits] = {
    "BTC": CoinTraits(29_000.0, 0.0042, 0.90, 1_800.0, 0.03, 60_000.0, 2),
    "ETH": CoinTraits(1_100.0, 0.0052, 0.86, 18_000.0, 0.5, 600_000.0, 2),
    "XLM": CoinTraits(0.21, 0.0060, 0.72, 6_000_000.0, 900.0, 150_000_000.0, 5),
}

# Half-lives in hours and stationary standard deviations of log volatility, near those of hourly bitcoin.
_SLOW, _FAST, _OWN, _REGIME_GLIDE = 960.0, 14.0, 72.0, 6.0
_SLOW_DEVIATION, _OWN_DEVIATION = 0.35, 0.18
_FEEDBACK, _LEVERAGE, _FAST_NOISE = 0.085, 0.035, 0.05
_REGIME_LEVELS = np.array([-0.30, 0.10, 0.85])  # calm, normal, stressed
_CALM = 0
_CRASH_UNREST = 0.8
_TRANSITIONS = np.array(
    [
        [1 - 1 / 600, 1 / 600, 0.0],  # calm lasts 25 days
        [1 / 720, 1 - 1 / 720 - 1 / 1080, 1 / 1080],
        [0.0, 1 / 120, 1 - 1 / 120],  # stress lasts 5 days
    ]
)
_VOLATILITY_BOUNDS = (-1.8, 2.4)  # log volatility relative to usual: 0.17 to 11 times
_PRICE_HALF_LIFE = 24 * 500.0
_DRIFT = 5e-6  # log return an hour
_TREND_HALF_LIFE = 48.0
_FUNDING_BASE = 1e-4  # the exchange's interest part for eight hours


@dataclass(frozen=True, slots=True)
class _CoinState:
    log_price: float
    own: float
    trend: float
    interest: float
    close: float


@dataclass(frozen=True, slots=True)
class _State:
    """What the next block needs of the past. `coins` in the order of the market's names."""

    regime: int
    glide: float
    slow: float
    fast: float
    coins: tuple[_CoinState, ...]


@dataclass(frozen=True, slots=True)
class CoinHours:
    """Hours of one coin, all arrays of the same length. `hour`: hours since GENESIS, at the open of the bar.

    Prices in USDT rounded to the coin's tick; `volume_base` in coins, `volume_quote` in USDT. `funding_rate` (a
    fraction for eight hours) and `open_interest` (coins) are those at the open of the bar. `present` is False where
    the script plants an outage.
    """

    hour: NDArray[np.int64]
    open: Array
    high: Array
    low: Array
    close: Array
    volume_base: Array
    volume_quote: Array
    trades: NDArray[np.int64]
    funding_rate: Array
    open_interest: Array
    present: NDArray[np.bool_]

    def slice(self, first: int, last: int) -> CoinHours:
        """The hours from `first` up to and without `last`, as far as this holds them."""
        low, high = np.searchsorted(self.hour, [first, last])
        return CoinHours(*(getattr(self, name)[low:high] for name in CoinHours.__dataclass_fields__))


def hours_since_genesis(moment: datetime) -> float:
    return (moment - GENESIS) / HOUR


class MarketSimulator:
    """Coins of one seed. Blocks are kept once made: a later window costs only what is new."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._blocks: list[dict[str, CoinHours]] = []
        self._state = _State(
            regime=1, glide=0.1, slow=0.0, fast=0.0,
            coins=tuple(_CoinState(float(np.log(t.price)), 0.0, 0.0, 0.0, t.price) for t in COIN_TRAITS.values()),
        )  # fmt: skip

    def hours(self, coin: str, first: int, last: int) -> CoinHours:
        """Bars of `coin` whose hour lies in [first, last), hours before GENESIS left out.

        Raises
        ------
        ValueError
            If the coin has no traits.
        """
        if coin not in COIN_TRAITS:
            raise ValueError(f"series: the simulator has no traits of {coin!r}, only of {sorted(COIN_TRAITS)}")
        first = max(first, 0)
        while len(self._blocks) * BLOCK_HOURS < last:
            self._extend()
        touched = self._blocks[first // BLOCK_HOURS : max(0, -(-last // BLOCK_HOURS))] or self._first_block()
        names = CoinHours.__dataclass_fields__
        joined = CoinHours(*(np.concatenate([getattr(b[coin], name) for b in touched]) for name in names))
        return joined.slice(first, max(first, last))

    def _first_block(self) -> list[dict[str, CoinHours]]:
        if not self._blocks:
            self._extend()
        return self._blocks[:1]

    def _extend(self) -> None:
        number, before = len(self._blocks), self._state
        n = BLOCK_HOURS
        hour = np.arange(number * n, (number + 1) * n)
        rng = stream(self._seed, "market", number)
        factor = heavy_tailed(rng, n, 5.0)
        regimes = markov_states(rng.random(n), _TRANSITIONS, before.regime)
        for event in events_of(COINS[0], "calm"):
            quiet = (hour >= hours_since_genesis(event.start)) & (hour < hours_since_genesis(event.end))
            regimes[quiet] = _CALM
        glide = autoregress(_glide_shocks(_REGIME_LEVELS[regimes]), _REGIME_GLIDE, before.glide)
        slow_shocks = stationary_shock(_SLOW, _SLOW_DEVIATION) * rng.standard_normal(n)
        slow = autoregress(slow_shocks, _SLOW, before.slow)
        fed = _FEEDBACK * surprise(factor) - _LEVERAGE * factor + _FAST_NOISE * rng.standard_normal(n)
        fast = autoregress(fed, _FAST, before.fast)
        # What this hour's shock adds is felt from the next hour on.
        lagged = _before(before.fast, fast)
        common = glide + slow + lagged + _time_of_day(hour)
        block: dict[str, CoinHours] = {}
        states: list[_CoinState] = []
        for (coin, traits), coin_before in zip(COIN_TRAITS.items(), before.coins, strict=True):
            own_rng = stream(self._seed, f"coin/{coin}", number)
            block[coin], state = _coin_block(coin, traits, hour, common, factor, own_rng, coin_before)
            states.append(state)
        self._blocks.append(block)
        self._state = _State(int(regimes[-1]), float(glide[-1]), float(slow[-1]), float(fast[-1]), tuple(states))


def _before(first: float, values: Array) -> Array:
    """Each value's predecessor: what was known when the hour began."""
    return np.concatenate([[first], values[:-1]])


def _glide_shocks(targets: Array) -> Array:
    """Shocks under which the autoregression moves towards `targets` instead of jumping to them."""
    return np.asarray((1.0 - 0.5 ** (1.0 / _REGIME_GLIDE)) * targets, dtype=np.float64)


def _time_of_day(hour: NDArray[np.int64]) -> Array:
    """Busier when Europe and America overlap, quieter at weekends (GENESIS was a Friday)."""
    weekend = ((hour // 24 + 4) % 7) >= 5
    return np.asarray(0.18 * np.cos(2 * np.pi * (hour % 24 - 15) / 24) - 0.15 * weekend, dtype=np.float64)


def _overlay(coin: str, hour: NDArray[np.int64]) -> Array:
    """Planted addition to log volatility.

    A burst builds up over six hours and fades with a half-life of a day; a crash leaves an unrest that fades with a
    half-life of two days.
    """
    total = np.zeros(len(hour))
    for event in events_of(coin, "calm", "burst", "crash"):
        start, end = hours_since_genesis(event.start), hours_since_genesis(event.end)
        since_end = np.maximum(hour - end, 0.0)
        if event.kind == "calm":
            total += np.where((hour >= start) & (hour < end), event.size, 0.0)
        elif event.kind == "burst":
            rise = np.clip((hour - start + 1) / 6.0, 0.0, 1.0)
            total += event.size * rise * 0.5 ** (since_end / 24.0)
        else:
            total += np.where(hour >= end, _CRASH_UNREST * 0.5 ** (since_end / 48.0), 0.0)
    return total


def _crashes(coin: str, hour: NDArray[np.int64]) -> Array:
    """Planted log returns: the fall, and two fifths of it recovered in the next hour."""
    returns = np.zeros(len(hour))
    for event in events_of(coin, "crash"):
        start = hours_since_genesis(event.start)
        returns[hour == start] += event.size
        returns[hour == start + 1] -= 0.4 * event.size
    return returns


def _coin_block(
    coin: str,
    traits: CoinTraits,
    hour: NDArray[np.int64],
    common: Array,
    factor: Array,
    rng: np.random.Generator,
    before: _CoinState,
) -> tuple[CoinHours, _CoinState]:
    n = len(hour)
    own_shock = heavy_tailed(rng, n, 4.5)
    own = autoregress(stationary_shock(_OWN, _OWN_DEVIATION) * rng.standard_normal(n), _OWN, before.own)
    uniforms = 1.0 - rng.random((2, n))  # in (0, 1]: their logarithm is taken
    noise = rng.standard_normal((3, n))

    log_sigma = np.clip(common + own, *_VOLATILITY_BOUNDS) + _overlay(coin, hour)
    sigma = traits.sigma * np.exp(log_sigma)
    loading = traits.factor_loading
    shock = loading * factor + np.sqrt(1.0 - loading**2) * own_shock
    moves = _DRIFT + sigma * shock + _crashes(coin, hour)
    level = float(np.log(traits.price))
    log_price = level + autoregress(moves, _PRICE_HALF_LIFE, before.log_price - level)
    close: Array = np.asarray(np.round(np.exp(log_price), traits.decimals), dtype=np.float64)
    opening = _before(before.close, close)
    highest, lowest = bridge_extremes(np.log(close / opening), sigma * 0.8, uniforms[0], uniforms[1])
    high = np.maximum(np.round(opening * np.exp(highest), traits.decimals), np.maximum(opening, close))
    low = np.minimum(np.round(opening * np.exp(lowest), traits.decimals), np.minimum(opening, close))

    activity = np.exp(0.9 * log_sigma + 0.25 * np.minimum(np.abs(moves / sigma), 6.0) + 0.30 * noise[0])
    volume = np.round(traits.volume * activity, 3)
    trades = np.maximum(1, np.round(volume / traits.trade_size / np.exp(0.1 * noise[0]))).astype(np.int64)
    trend = autoregress(shock, _TREND_HALF_LIFE, before.trend)
    normal_trend = _before(before.trend, trend) / np.sqrt(_TREND_HALF_LIFE / (2 * np.log(2)))
    funding = np.round(np.clip(_FUNDING_BASE * (1 + 0.8 * normal_trend + 0.3 * noise[1]), -0.003, 0.003), 8)
    wander = autoregress(0.004 * noise[2] + 0.001 * shock, 24 * 20.0, before.interest)
    interest = traits.open_interest * np.exp(_before(before.interest, wander))
    bars = CoinHours(
        hour=hour, open=opening, high=high, low=low, close=close,
        volume_base=volume, volume_quote=np.round(volume * (opening + close) / 2.0, 2), trades=trades,
        funding_rate=funding, open_interest=np.round(interest, 3),
        present=np.ones(n, dtype=np.bool_),
    )  # fmt: skip
    last = _CoinState(float(log_price[-1]), float(own[-1]), float(trend[-1]), float(wander[-1]), float(close[-1]))
    return _with_faults(coin, traits, bars), last


def _with_faults(coin: str, traits: CoinTraits, bars: CoinHours) -> CoinHours:
    """Planted outages, wrong-scale bars and one-trade closes: what the feed says, not what the market did."""
    for event in events_of(coin, "outage", "wrong_scale", "one_trade"):
        low, high = np.searchsorted(bars.hour, [hours_since_genesis(event.start), hours_since_genesis(event.end)])
        hit = slice(low, high)
        if event.kind == "outage":
            bars.present[hit] = False
        elif event.kind == "wrong_scale":
            for prices in (bars.open, bars.high, bars.low, bars.close):
                prices[hit] = np.round(prices[hit] * event.size, traits.decimals)
        else:
            bars.close[hit] = np.round(bars.close[hit] * event.size, traits.decimals)
            bars.high[hit] = np.maximum(bars.high[hit], bars.close[hit])
            bars.volume_base[hit] = traits.trade_size
            bars.volume_quote[hit] = np.round(traits.trade_size * bars.close[hit], 2)
            bars.trades[hit] = 1
    return bars
