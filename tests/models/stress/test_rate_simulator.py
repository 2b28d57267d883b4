from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.stress.rate_simulator import BLOCK_DAYS, PAIR_TRAITS, RateDays, RateSimulator, days_since_genesis
from models.stress.script import HISTORY_END, events_of
from models.stress.street_simulator import (
    BLOCK_SLOTS,
    CAPPED,
    DELISTED,
    FREE,
    SLOT_SECONDS,
    STREET_TRAITS,
    StreetSimulator,
    StreetSlots,
)

HOLIDAYS = ("01-01", "12-25")
END = int(days_since_genesis(HISTORY_END))
SEEDS = (0, 1, 7)


@pytest.fixture(scope="module")
def rates() -> dict[int, RateSimulator]:
    return {seed: RateSimulator(seed, HOLIDAYS) for seed in SEEDS}


@pytest.fixture(scope="module")
def street(rates: dict[int, RateSimulator]) -> StreetSimulator:
    return StreetSimulator(7, rates[7])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-10, 3 * BLOCK_DAYS), min_size=3, max_size=3).map(sorted))
def test_windows_of_rates_join_without_seam(cuts: list[int]) -> None:
    rates = RateSimulator(3, HOLIDAYS)
    a, b, c = cuts
    left, whole, right = (rates.days("USDNGN:official", *w) for w in ((a, b), (a, c), (b, c)))
    for name in RateDays.__dataclass_fields__:
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(left, name), getattr(right, name)]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-10, 3 * BLOCK_SLOTS * SLOT_SECONDS), min_size=3, max_size=3).map(sorted))
def test_windows_of_adverts_join_without_seam(street: StreetSimulator, cuts: list[int]) -> None:
    a, b, c = cuts
    left, whole, right = (street.slots("USDTNGN:street", *w) for w in ((a, b), (a, c), (b, c)))
    for name in StreetSlots.__dataclass_fields__:
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(left, name), getattr(right, name)]))


def test_adverts_do_not_depend_on_what_was_asked_first() -> None:
    late_first = StreetSimulator(7, RateSimulator(7, HOLIDAYS))
    late_first.slots("USDTKES:street", 10**8, 10**8 + 1)
    in_order = StreetSimulator(7, RateSimulator(7, HOLIDAYS))
    for name in ("rate", "offers"):
        a, b = (getattr(s.slots("USDTKES:street", 0, 10**7), name) for s in (late_first, in_order))
        assert np.array_equal(a, b)


def test_rates_come_on_business_days_only(rates: dict[int, RateSimulator]) -> None:
    days = rates[7].days("USDZAR:official", 0, END)
    dates = np.datetime64("2021-01-01") + days.day.astype("timedelta64[D]")
    assert np.is_busday(dates).all()
    assert not any(str(d)[5:] in HOLIDAYS for d in dates)
    assert len(dates) == np.busday_count("2021-01-01", "2026-01-01") - sum(
        np.is_busday(f"{year}-{day}") for year in range(2021, 2026) for day in HOLIDAYS
    )


@pytest.mark.parametrize("pair", sorted(PAIR_TRAITS))
@pytest.mark.parametrize("seed", SEEDS)
def test_floating_rates_cluster_and_have_tails(rates: dict[int, RateSimulator], seed: int, pair: str) -> None:
    days = rates[seed].days(pair, 0, END)
    moves = np.diff(np.log(days.true_close))
    quiet = np.abs(moves) < 0.1
    assert ((moves[quiet] / moves[quiet].std()) ** 4).mean() > 4
    floating = slice(600, None)
    log_rv = np.log(np.maximum(np.log(days.high / days.low) ** 2 / (4 * np.log(2)), 1e-8))[floating]
    assert np.corrcoef(log_rv[1:], log_rv[:-1])[0, 1] > 0.15
    assert (moves[-22:] == 0).mean() <= 0.2, "not managed when the clock starts"
    assert np.all(days.high[days.present] >= days.true_close[days.present])


@pytest.mark.parametrize("pair", sorted(PAIR_TRAITS))
def test_planted_events_of_rates_are_there(rates: dict[int, RateSimulator], pair: str) -> None:
    for event in events_of(pair, "outage", "wrong_scale", "wick", "devaluation", "managed"):
        first, last = int(days_since_genesis(event.start)), int(days_since_genesis(event.end))
        inside = rates[7].days(pair, first, last)
        before = rates[7].days(pair, first - 7, first).true_close[-1]
        assert len(inside.day), "planted on business days"
        match event.kind:
            case "outage":
                assert not inside.present.any()
            case "wrong_scale":
                assert np.allclose(inside.close / inside.true_close, event.size, rtol=1e-3)
                assert np.all(np.abs(np.log(inside.true_close / before)) < 0.15)
            case "wick":
                assert np.log(inside.high[0] / inside.low[0]) > 0.3
            case "devaluation":
                assert np.log(inside.close[0] / before) == pytest.approx(event.size, abs=0.08)
            case "managed":
                assert (np.diff(inside.true_close) == 0).mean() == pytest.approx(event.size, abs=0.12)


def test_closes_are_wrong_only_where_planted(rates: dict[int, RateSimulator]) -> None:
    for pair in PAIR_TRAITS:
        days = rates[7].days(pair, 0, END + 700)
        wrong = sum((e.end - e.start).days for e in events_of(pair, "wrong_scale"))
        assert (days.close != days.true_close).sum() == wrong


def test_the_premium_swells_before_a_devaluation_and_vanishes_after(
    rates: dict[int, RateSimulator], street: StreetSimulator
) -> None:
    devaluation = events_of("USDNGN:official", "devaluation")[0]
    day = int(days_since_genesis(devaluation.start))

    def premium(at: int) -> float:
        official = rates[7].days("USDNGN:official", at - 10, at).true_close[-1]
        return float(np.log(np.median(street.slots("USDTNGN:street", at * 86_400, (at + 1) * 86_400).rate) / official))

    assert premium(day - 300) < 0.1
    assert premium(day - 1) > 0.25
    assert premium(day + 3) < 0.1


@pytest.mark.parametrize("market", sorted(STREET_TRAITS))
def test_adverts_are_well_formed(street: StreetSimulator, market: str) -> None:
    slots = street.slots(market, 0, END * 86_400)
    assert np.all(np.diff(slots.second) > 0)
    assert np.all(slots.low <= slots.bid)
    assert np.all(slots.bid <= slots.ask)
    assert np.all(slots.ask <= slots.high)
    assert np.all(slots.offers >= 1)
    assert np.all(slots.depth > 0)
    assert np.all((slots.concentration > 0) & (slots.concentration <= 1))


def test_planted_adverts_are_there(street: StreetSimulator) -> None:
    for market in STREET_TRAITS:
        for event in events_of(market, "wrong_scale", "absurd_advert", "thin_offers"):
            first = int(days_since_genesis(event.start) * 86_400)
            around = street.slots(market, first - 20 * 86_400, first)
            (slot,) = (street.slots(market, first, int(days_since_genesis(event.end) * 86_400)),)
            assert len(slot.rate) == 1
            usual = float(np.median(around.rate[-6:]))
            if event.kind == "absurd_advert":
                assert slot.high[0] / slot.rate[0] == pytest.approx(event.size, rel=0.01)
                assert slot.rate[0] == pytest.approx(usual, rel=0.1)
            else:
                assert slot.rate[0] / usual == pytest.approx(event.size, rel=0.1)
            if event.kind == "thin_offers":
                assert slot.offers[0] == 1


def test_the_desk_is_capped_then_delisted_then_silent(street: StreetSimulator) -> None:
    capped, delisted = events_of("USDTNGN:p2p_desk", "capped", "delisted")
    slots = street.slots("USDTNGN:p2p_desk", 0, (END + 400) * 86_400)
    when = slots.second / 86_400
    assert set(slots.regime[when < days_since_genesis(capped.start)]) == {FREE}
    bound = when >= days_since_genesis(capped.start)
    assert set(slots.regime[bound]) == {CAPPED, DELISTED}
    assert len(set(slots.rate[bound])) == 1, "a cap shows one price, however the market moves"
    assert when[-1] < days_since_genesis(delisted.end)
    assert days_since_genesis(capped.start) // BLOCK_DAYS == days_since_genesis(delisted.end) // BLOCK_DAYS


@pytest.mark.parametrize("series", ["USDEUR:official", "BTC"])
def test_unknown_series_are_named(street: StreetSimulator, rates: dict[int, RateSimulator], series: str) -> None:
    with pytest.raises(ValueError, match=series):
        rates[7].days(series, 0, 1)
    with pytest.raises(ValueError, match=series):
        street.slots(series, 0, 1)
