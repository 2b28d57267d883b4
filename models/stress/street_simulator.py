"""Simulated street rates: adverts for a dollar token every four hours, at a premium over the official rate.

The premium wanders, and the script makes it swell before a devaluation and vanish after it. One desk is capped and
then delisted. Made in blocks of 360 days, like the official rates that they follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.stress.processes import Array, autoregress, heavy_tailed, stationary_shock
from models.stress.rate_simulator import BLOCK_DAYS, DAY, RateSimulator, days_since_genesis
from models.stress.script import PlantedEvent, events_of
from models.stress.streams import stream

SLOTS_A_DAY = 6
BLOCK_SLOTS = BLOCK_DAYS * SLOTS_A_DAY
SLOT_SECONDS = 86_400 // SLOTS_A_DAY
FREE, CAPPED, DELISTED = 0, 1, 2
_PREMIUM_HALF_LIFE, _PREMIUM_DEVIATION = 60.0, 0.012  # slots; log premium
_SWELL_DAYS, _SWELL_SHARE = 240.0, 0.9  # the street prices in nine tenths of a devaluation over eight months
_PRICE_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class StreetTraits:
    """`official`: the rate it follows. `premium`: usual log premium. `offers`: usual number of adverts."""

    official: str
    premium: float
    offers: float
    depth: float


STREET_TRAITS: Mapping[str, StreetTraits] = {
    "USDTNGN:street": StreetTraits("USDNGN:official", 0.020, 60.0, 400_000.0),
    "USDTKES:street": StreetTraits("USDKES:official", 0.012, 35.0, 150_000.0),
    "USDTNGN:p2p_desk": StreetTraits("USDNGN:official", 0.028, 20.0, 90_000.0),
}


@dataclass(frozen=True, slots=True)
class StreetSlots:
    """Adverts of one market. `second`: since GENESIS. `rate`, `vwap`, `mode_price`: quote currency for one token.

    `depth`: tokens on offer. `concentration`: Herfindahl index of the adverts' shares. `regime`: FREE, CAPPED or
    DELISTED; after its delisting a market has no slots.
    """

    second: NDArray[np.int64]
    rate: Array
    low: Array
    high: Array
    bid: Array
    ask: Array
    vwap: Array
    mode_price: Array
    offers: NDArray[np.int64]
    depth: Array
    concentration: Array
    regime: NDArray[np.int64]


class StreetSimulator:
    """Street markets of one seed beside its official rates. Blocks are kept once made."""

    def __init__(self, seed: int, rates: RateSimulator) -> None:
        self._seed = seed
        self._rates = rates
        self._blocks: dict[str, list[StreetSlots]] = {market: [] for market in STREET_TRAITS}
        self._premium = dict.fromkeys(STREET_TRAITS, 0.0)

    def slots(self, market: str, first_second: int, last_second: int) -> StreetSlots:
        """Adverts of `market` seen in [first_second, last_second) since GENESIS.

        Raises
        ------
        ValueError
            If the market has no traits.
        """
        if market not in STREET_TRAITS:
            raise ValueError(f"series: the simulator has no traits of {market!r}, only of {sorted(STREET_TRAITS)}")
        block_seconds = BLOCK_SLOTS * SLOT_SECONDS
        first_second, blocks = max(first_second, 0), self._blocks[market]
        while len(blocks) * block_seconds < last_second or not blocks:
            self._extend(market)
        touched = blocks[first_second // block_seconds : max(0, -(-last_second // block_seconds))] or blocks[:1]
        names = StreetSlots.__dataclass_fields__
        joined = {name: np.concatenate([getattr(block, name) for block in touched]) for name in names}
        low, high = np.searchsorted(joined["second"], [first_second, max(first_second, last_second)])
        return StreetSlots(**{name: values[low:high] for name, values in joined.items()})

    def _extend(self, market: str) -> None:
        number, traits = len(self._blocks[market]), STREET_TRAITS[market]
        rng = stream(self._seed, f"street/{market}", number)
        slot = np.arange(number * BLOCK_SLOTS, (number + 1) * BLOCK_SLOTS)
        n = BLOCK_SLOTS
        second = slot * SLOT_SECONDS + rng.integers(0, 1500, n)
        shocks = stationary_shock(_PREMIUM_HALF_LIFE, _PREMIUM_DEVIATION) * heavy_tailed(rng, n, 5.0)
        wander = autoregress(shocks, _PREMIUM_HALF_LIFE, self._premium[market])
        self._premium[market] = float(wander[-1])
        noise = rng.standard_normal((5, n))
        day = slot // SLOTS_A_DAY
        premium = traits.premium + wander + _swell(traits.official, day) + 0.001 * noise[0]
        rate = self._last_official(traits.official, day) * np.exp(premium)
        spread = 0.002 * np.exp(0.3 * noise[1])
        offers = np.maximum(2, np.round(traits.offers * np.exp(0.25 * noise[2]))).astype(np.int64)
        slots = StreetSlots(
            second=second,
            rate=_priced(rate),
            low=_priced(rate * (1 - 4 * spread)),
            high=_priced(rate * (1 + 5 * spread)),
            bid=_priced(rate * (1 - spread)),
            ask=_priced(rate * (1 + spread)),
            vwap=_priced(rate * (1 + 0.0005 * noise[3])),
            mode_price=_priced(rate * (1 + 0.0004 * noise[4])),
            offers=offers,
            depth=np.round(traits.depth * offers / traits.offers * np.exp(0.2 * noise[3]), 2),
            concentration=np.round(np.clip(2.0 / offers, 0.0, 1.0), 4),
            regime=np.full(n, FREE, dtype=np.int64),
        )
        self._blocks[market].append(_scripted(market, slots))

    def _last_official(self, pair: str, day: NDArray[np.int64]) -> Array:
        """The newest true close published before each day; the first one for the days before it."""
        known = self._rates.days(pair, 0, int(day[-1]) + 1)
        newest = np.searchsorted(known.day, day, side="left") - 1
        closes: Array = known.true_close[np.maximum(newest, 0)]
        return closes


def _priced(values: Array) -> Array:
    return np.asarray(np.round(values, _PRICE_DECIMALS), dtype=np.float64)


def _swell(official: str, day: NDArray[np.int64]) -> Array:
    """Premium in expectation of each planted devaluation: it grows towards it and is gone once it came."""
    total = np.zeros(len(day))
    for event in events_of(official, "devaluation"):
        # The official close of the day itself is known only on the next one.
        ahead = days_since_genesis(event.end) - day
        growing = (ahead > 0) & (ahead <= _SWELL_DAYS)
        total += np.where(growing, _SWELL_SHARE * event.size * (1 - ahead / _SWELL_DAYS), 0.0)
    return total


def _scripted(market: str, slots: StreetSlots) -> StreetSlots:
    for event in events_of(market, "wrong_scale", "absurd_advert", "thin_offers"):
        hit = _hit(slots, event)
        if event.kind == "absurd_advert":
            slots.high[hit] = _priced(slots.rate[hit] * event.size)
            continue
        for prices in (slots.rate, slots.vwap, slots.mode_price, slots.bid, slots.ask, slots.low, slots.high):
            prices[hit] = _priced(prices[hit] * event.size)
        if event.kind == "thin_offers":
            slots.offers[hit], slots.depth[hit], slots.concentration[hit] = 1, 25.0, 1.0
    alive = np.ones(len(slots.second), dtype=np.bool_)
    for event in events_of(market, "capped", "delisted"):
        hit = _hit(slots, event)
        slots.regime[hit] = CAPPED if event.kind == "capped" else DELISTED
        slots.offers[hit] = np.maximum(1, slots.offers[hit] // 10)
        slots.depth[hit] = np.round(slots.depth[hit] / 20.0, 2)
        if event.kind == "delisted":
            alive &= slots.second < days_since_genesis(event.end) * DAY.total_seconds()
    _hold_price(market, slots)
    names = StreetSlots.__dataclass_fields__
    return StreetSlots(**{name: getattr(slots, name)[alive] for name in names})


def _hold_price(market: str, slots: StreetSlots) -> None:
    """Under a cap, and on the board of a delisted desk, every price is that of the last free advert."""
    bound = np.flatnonzero(slots.regime != FREE)
    if len(bound) == 0:
        return
    for name in ("rate", "low", "high", "bid", "ask", "vwap", "mode_price"):
        prices = getattr(slots, name)
        prices[bound] = slots.rate[bound[0] - 1]


def _hit(slots: StreetSlots, event: PlantedEvent) -> NDArray[np.bool_]:
    start, end = (days_since_genesis(moment) * DAY.total_seconds() for moment in (event.start, event.end))
    return (slots.second >= start) & (slots.second < end)
