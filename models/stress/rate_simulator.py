"""Simulated exchange rates: official daily bars and fixings, and street adverts several times a day.

Official rates float with clustered volatility and heavy tails, stand still in managed spells and are devalued by
the script. Street rates follow the last official close at a premium that swells before a devaluation. Made in blocks
of 360 days that depend on the seed, their number and the state before them, never on what was asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models.stress.processes import Array, autoregress, bridge_extremes, heavy_tailed, stationary_shock, surprise
from models.stress.script import GENESIS, events_of
from models.stress.streams import stream

BLOCK_DAYS = 360
DAY = timedelta(days=1)
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class PairTraits:
    """`rate`: at GENESIS. `sigma`: log return of a usual day. `drift`: log return a day."""

    rate: float
    sigma: float
    drift: float


PAIR_TRAITS: Mapping[str, PairTraits] = {
    "USDNGN:official": PairTraits(380.0, 0.0065, 0.0001),
    "USDKES:official": PairTraits(109.0, 0.0040, 0.0001),
    "USDZAR:official": PairTraits(14.7, 0.0090, 0.0001),
    "USDGHS:official": PairTraits(5.8, 0.0065, 0.0003),
}

_SLOW, _FAST = 40.0, 4.0  # half-lives of log volatility in business days
_SLOW_DEVIATION, _FAST_NOISE, _FEEDBACK = 0.30, 0.10, 0.12
_VOLATILITY_BOUNDS = (-1.5, 1.8)
_DEVALUATION_UNREST = 1.0  # addition to log volatility, halved every ten days


@dataclass(frozen=True, slots=True)
class RateDays:
    """Business days of one pair. `day`: days since GENESIS. `close` is what was published; `true_close` what was so.

    Units: quote currency for one unit of base, rounded to 4 decimals. `present` is False where an outage is planted.
    """

    day: NDArray[np.int64]
    open: Array
    high: Array
    low: Array
    close: Array
    true_close: Array
    present: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _PairState:
    log_rate: float
    slow: float
    fast: float
    close: float


def days_since_genesis(moment: datetime) -> float:
    return (moment - GENESIS) / DAY


def business_days(day: NDArray[np.int64], holidays: Collection[str]) -> NDArray[np.bool_]:
    """Monday to Friday without the `MM-DD` holidays.

    Parameters
    ----------
    day : shape (n,), days since GENESIS.
    """
    date = np.datetime64(GENESIS.date()) + day.astype("timedelta64[D]")
    month_day = np.array([str(d)[5:] for d in date])
    return np.is_busday(date) & ~np.isin(month_day, sorted(holidays))


class RateSimulator:
    """Official rates of one seed on a calendar with these holidays. Blocks are kept once made."""

    def __init__(self, seed: int, holidays: Collection[str]) -> None:
        self._seed = seed
        self._holidays = frozenset(holidays)
        self._blocks: dict[str, list[RateDays]] = {pair: [] for pair in PAIR_TRAITS}
        self._states = {
            pair: _PairState(float(np.log(traits.rate)), 0.0, 0.0, traits.rate) for pair, traits in PAIR_TRAITS.items()
        }

    def days(self, pair: str, first: int, last: int) -> RateDays:
        """Business days of `pair` whose day lies in [first, last), days before GENESIS left out.

        Raises
        ------
        ValueError
            If the pair has no traits.
        """
        if pair not in PAIR_TRAITS:
            raise ValueError(f"series: the simulator has no traits of {pair!r}, only of {sorted(PAIR_TRAITS)}")
        first, blocks = max(first, 0), self._blocks[pair]
        while len(blocks) * BLOCK_DAYS < last or not blocks:
            self._extend(pair)
        touched = blocks[first // BLOCK_DAYS : max(0, -(-last // BLOCK_DAYS))] or blocks[:1]
        names = RateDays.__dataclass_fields__
        joined = {name: np.concatenate([getattr(block, name) for block in touched]) for name in names}
        low, high = np.searchsorted(joined["day"], [first, max(first, last)])
        return RateDays(**{name: values[low:high] for name, values in joined.items()})

    def _extend(self, pair: str) -> None:
        number, before, traits = len(self._blocks[pair]), self._states[pair], PAIR_TRAITS[pair]
        rng = stream(self._seed, f"rate/{pair}", number)
        every_day = np.arange(number * BLOCK_DAYS, (number + 1) * BLOCK_DAYS)
        day = every_day[business_days(every_day, self._holidays)]
        n = len(day)
        shock = heavy_tailed(rng, n, 4.5)
        slow = autoregress(stationary_shock(_SLOW, _SLOW_DEVIATION) * rng.standard_normal(n), _SLOW, before.slow)
        fed = _FEEDBACK * surprise(shock) + _FAST_NOISE * rng.standard_normal(n)
        fast = autoregress(fed, _FAST, before.fast)
        uniforms = 1.0 - rng.random((2, n))
        still = rng.random(n) < _managed_share(pair, day)

        lagged = np.concatenate([[before.fast], fast[:-1]])
        log_sigma = np.clip(slow + lagged, *_VOLATILITY_BOUNDS) + _overlay(pair, day)
        sigma = np.where(still, 0.0, traits.sigma * np.exp(log_sigma))
        moves = np.where(still, 0.0, traits.drift + sigma * shock) + _devaluations(pair, day)
        log_rate = before.log_rate + np.cumsum(moves)
        close: Array = np.asarray(np.round(np.exp(log_rate), DECIMALS), dtype=np.float64)
        opening = np.concatenate([[before.close], close[:-1]])
        highest, lowest = bridge_extremes(np.log(close / opening), sigma * 0.8, uniforms[0], uniforms[1])
        days = RateDays(
            day=day,
            open=opening,
            high=np.maximum(np.round(opening * np.exp(highest), DECIMALS), np.maximum(opening, close)),
            low=np.minimum(np.round(opening * np.exp(lowest), DECIMALS), np.minimum(opening, close)),
            close=close.copy(),
            true_close=close,
            present=np.ones(n, dtype=np.bool_),
        )
        self._states[pair] = _PairState(float(log_rate[-1]), float(slow[-1]), float(fast[-1]), float(close[-1]))
        self._blocks[pair].append(_with_faults(pair, days))


def _within(day: NDArray[np.int64], start: datetime, end: datetime) -> NDArray[np.bool_]:
    return (day >= days_since_genesis(start)) & (day < days_since_genesis(end))


def _managed_share(pair: str, day: NDArray[np.int64]) -> Array:
    share = np.zeros(len(day))
    for event in events_of(pair, "managed"):
        share[_within(day, event.start, event.end)] = event.size
    return share


def _devaluations(pair: str, day: NDArray[np.int64]) -> Array:
    moves = np.zeros(len(day))
    for event in events_of(pair, "devaluation"):
        moves[_within(day, event.start, event.end)] += event.size
    return moves


def _overlay(pair: str, day: NDArray[np.int64]) -> Array:
    """Planted addition to log volatility: calm and burst as they are, unrest after a devaluation fading."""
    total = np.zeros(len(day))
    for event in events_of(pair, "calm", "burst"):
        total[_within(day, event.start, event.end)] += event.size
    for event in events_of(pair, "devaluation"):
        since = np.maximum(day - days_since_genesis(event.end), 0.0)
        total += np.where(day >= days_since_genesis(event.end), _DEVALUATION_UNREST * 0.5 ** (since / 10.0), 0.0)
    return total


def _with_faults(pair: str, days: RateDays) -> RateDays:
    """Planted outages, closes of the wrong scale and highs that nobody dealt at: what the feed says."""
    for event in events_of(pair, "outage", "wrong_scale", "wick"):
        hit = _within(days.day, event.start, event.end)
        if event.kind == "outage":
            days.present[hit] = False
        elif event.kind == "wrong_scale":
            days.close[hit] = np.round(days.close[hit] * event.size, DECIMALS)
        else:
            days.high[hit] = np.round(days.high[hit] * event.size, DECIMALS)
    return days
