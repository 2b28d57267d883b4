"""Scenarios: what the library holds, what some of them do by hand, when recorded returns take the place of figures."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from models.stress.conditions import compose
from models.stress.legs import Leg, LegKind, Market
from models.stress.scenario_library import SCENARIOS, scenario_named
from models.stress.scenarios import Figure, Scenario, blind, dollar, fall, halted, replay, spread, volatile
from models.stress.shocks import Gap, inject

COINS = (Leg("BTC", LegKind.COIN, 0.04), Leg("ETH", LegKind.COIN, 0.05), Leg("XLM", LegKind.COIN, 0.05))
MONEY = tuple(Leg(f"c{code}", LegKind.FX, 0.01, code) for code in ("NGN", "KES", "TRY", "EGP", "CHF", "ARS"))
STABLE = tuple(Leg(symbol, LegKind.STABLE) for symbol in ("USDC", "USDT", "UST"))
ALL = Market((*COINS, *MONEY, *STABLE), 365.0)
VAULT = Market((COINS[0], MONEY[0], STABLE[0]), 365.0)


def worth(name: str, symbol: str, steps: int = 30, market: Market = ALL) -> list[float]:
    """Worth of a leg after each step of a path that meets the event at its first one."""
    column = [leg.symbol for leg in market.legs].index(symbol)
    return np.exp(np.cumsum(replay(SCENARIOS[name], market).conditions(1, steps).log_return[0, :, column])).tolist()


def test_the_library_is_large_enough_and_in_order_of_time() -> None:
    assert len(SCENARIOS) >= 14
    assert [scenario.start for scenario in SCENARIOS.values()] == sorted(one.start for one in SCENARIOS.values())
    with pytest.raises(ValueError, match=r"there is no scenario 'flood': one of franc-2015-01, "):
        scenario_named("flood")


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_every_scenario_says_what_when_and_from_where(name: str) -> None:
    scenario = scenario_named(name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
    assert all(figure.says and figure.source for figure in scenario.figures)
    assert all(date(2015, 1, 1) <= figure.day <= date(2024, 12, 31) for figure in scenario.figures)
    conditions = replay(scenario, ALL).conditions(2, 400)
    assert conditions.log_return[0].tobytes() == conditions.log_return[1].tobytes()  # it has a date, not a chance
    lasting = max(effect.delay_days + max(effect.days[1], effect.over_days) for effect in scenario.effects)
    assert lasting <= scenario.days + 30


@pytest.mark.parametrize(
    ("name", "symbol", "day", "expected"),
    [
        ("naira-2016-06", "cNGN", 0, 1 / 1.42),
        ("naira-2016-06", "cKES", 9, 1.0),
        ("naira-2016-06", "BTC", 9, 1.0),
        ("naira-2023-06", "cNGN", 4, 1 / 1.43),
        ("naira-2023-06", "cNGN", 5, 1 / 1.43 / 1.162),
        ("naira-2024-01", "cNGN", 1, 891.90 / 1482.57),
        ("shilling-2024-02", "cKES", 2, 160.67 / 140.00),
        ("pound-2016-11", "cEGP", 3, 8.8 / 15.75),
        ("pound-2024-03", "cEGP", 0, 30.85 / 49.4),
        ("franc-2015-01", "cCHF", 1, 1.0172 / 0.8488),
        ("peso-2015-12", "cARS", 0, 9.84 / 14.0),
        ("peso-2023-12", "cARS", 0, 366.5 / 800.0),
        ("lira-2021-12", "cTRY", 26, 0.63),
        ("lira-2021-12", "cTRY", 28, 0.63 * 18.36 / 13.01),
        ("black-thursday-2020-03", "BTC", 0, 0.60),
        ("black-thursday-2020-03", "ETH", 0, 0.57),
        ("terra-2022-05", "BTC", 6, 0.7225),
        ("terra-2022-05", "UST", 3, 0.68),
        ("terra-2022-05", "UST", 5, 0.22),
        ("terra-2022-05", "USDT", 6, 0.95),
        ("terra-2022-05", "USDC", 6, 1.0),
        ("ftx-2022-11", "ETH", 2, 0.77),
        ("usdc-2023-03", "USDC", 0, 0.8774),
        ("usdc-2023-03", "USDT", 0, 1.0),
    ],
)
def test_worth_at_dates_that_were_published(name: str, symbol: str, day: int, expected: float) -> None:
    assert worth(name, symbol)[day] == pytest.approx(expected, rel=2e-3)


def test_a_scenario_begins_where_it_is_put_and_is_cut_at_the_end_of_the_path() -> None:
    conditions = replay(SCENARIOS["naira-2016-06"], VAULT).conditions(1, 6, at_step=4)
    np.testing.assert_allclose(conditions.log_return[0, :, 1], [0, 0, 0, 0, -np.log(1.42), 0])
    np.testing.assert_array_equal(conditions.half_spread_multiplier[0], [1, 1, 1, 1, 5, 5])
    with pytest.raises(ValueError, match="at_step 0 to 5, got 6"):
        replay(SCENARIOS["naira-2016-06"], VAULT).conditions(1, 6, at_step=6)


def test_hours_of_an_outage_are_seen_in_hours_and_not_in_days() -> None:
    hourly = Market(VAULT.legs, 8760.0)
    assert replay(SCENARIOS["solana-halt-2021-09"], hourly).conditions(1, 48).halted.sum() == 17
    assert replay(SCENARIOS["stellar-halt-2019-05"], hourly).conditions(1, 48).halted.sum() == 1
    assert replay(SCENARIOS["solana-halt-2021-09"], VAULT).conditions(1, 48).halted.sum() == 0


@pytest.mark.parametrize(
    ("name", "everywhere", "expected"),
    [
        ("naira-2016-06", False, ("cNGN",)),
        ("naira-2016-06", True, tuple(leg.symbol for leg in MONEY)),
        ("black-thursday-2020-03", False, ("BTC", "ETH", "XLM")),
        ("usdc-2023-03", False, ("USDC",)),
        ("usdc-2023-03", True, ("USDC", "USDT", "UST")),
        ("naira-p2p-2024-02", False, ()),
        ("mango-2022-10", True, ()),  # what happened to one coin did not happen to coins
    ],
)
def test_which_legs_are_struck(name: str, everywhere: bool, expected: tuple[str, ...]) -> None:
    assert SCENARIOS[name].struck(ALL, everywhere) == expected
    moved = replay(SCENARIOS[name], ALL, everywhere=everywhere).conditions(1, 30).log_return[0].any(axis=0)
    assert tuple(leg.symbol for leg, moves in zip(ALL.legs, moved, strict=True) if moves) == expected


def test_scenarios_and_shocks_compose() -> None:
    dated = replay(SCENARIOS["naira-2016-06"], VAULT).conditions(5, 40, 10)
    drawn = inject([Gap(rate_per_year=20.0)], VAULT, 5, 40, 1)
    both = compose(dated, drawn)
    np.testing.assert_array_equal(both.log_return[..., 1], dated.log_return[..., 1])
    np.testing.assert_array_equal(both.log_return[..., 0], drawn.log_return[..., 0])


FIGURE = (Figure("x", "y", date(2020, 1, 10)),)
EVENT = Scenario(
    "event", "An event", date(2020, 1, 10), date(2020, 1, 12),
    (dollar(0.5, "NGN"), fall(0.1), volatile(3.0, 5.0), spread(4.0, 2.0), halted(1.0), blind(1.0)), FIGURE,
)  # fmt: skip
DATES = np.arange("2020-01-01", "2020-01-21", dtype="datetime64[D]")
RETURNS = np.arange(60.0).reshape(20, 3) / 1000.0


def test_recorded_returns_take_the_place_of_figures_but_not_of_outages() -> None:
    ready = replay(EVENT, VAULT, RETURNS, DATES)
    assert (ready.form, ready.reason) == ("recorded", "the sample has all 3 steps of the window")
    conditions = ready.conditions(2, 6, at_step=2)
    np.testing.assert_array_equal(conditions.log_return[1, 2:5], RETURNS[9:12])
    assert not conditions.log_return[:, [0, 1, 5]].any()
    assert (conditions.sigma_multiplier == 1.0).all()
    np.testing.assert_array_equal(conditions.half_spread_multiplier[0], [1, 1, 4, 4, 1, 1])
    assert conditions.halted[0].tolist() == [False, False, True, False, False, False]
    np.testing.assert_array_equal(ready.conditions(1, 3, at_step=1).log_return[0, 1:], RETURNS[9:11])


def hole(row: int, leg: int) -> np.ndarray:
    returns = RETURNS.copy()
    returns[row, leg] = np.nan
    return returns


@pytest.mark.parametrize(
    ("returns", "dates", "everywhere", "reason"),
    [
        (None, None, False, "there is no sample"),
        (RETURNS, DATES, True, "asked for everywhere"),
        (RETURNS[9:], DATES[9:], False, "does not reach from before 2020-01-10"),  # its first return has no day before
        (RETURNS[:11], DATES[:11], False, "to 2020-01-12"),
        (RETURNS[:0], DATES[:0], False, "does not reach"),
        (hole(10, 1), DATES, False, "cNGN has not all returns"),
        (np.delete(RETURNS, 10, axis=0), np.delete(DATES, 10), False, "2 of about 3 steps"),
    ],
)
def test_where_the_sample_does_not_hold_the_event_its_figures_are_used(
    returns: Any, dates: Any, everywhere: bool, reason: str
) -> None:
    ready = replay(EVENT, VAULT, returns, dates, everywhere)
    assert ready.form == "parametrised"
    assert reason in ready.reason
    np.testing.assert_allclose(np.exp(ready.conditions(1, 2).log_return[0, 0]), [0.9, 1 / 1.5, 1.0])


def test_a_hole_outside_the_window_and_business_days_are_no_holes() -> None:
    assert replay(EVENT, VAULT, hole(3, 0), DATES).form == "recorded"
    weekdays = np.is_busday(DATES)  # 2020-01-10 is a Friday
    business = Market(VAULT.legs, 252.0)
    week = replace(EVENT, end=date(2020, 1, 14))
    assert replay(week, business, RETURNS[weekdays], DATES[weekdays]).form == "recorded"


def test_hours_belong_to_their_day() -> None:
    hours = np.arange("2020-01-09T00", "2020-01-14T00", dtype="datetime64[h]")
    ready = replay(EVENT, Market(VAULT.legs, 8760.0), np.ones((len(hours), 3)), hours)
    assert ready.recorded is not None
    assert len(ready.recorded) == 72


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: replay(EVENT, VAULT, RETURNS[:, :2], DATES), r"returns must be \(n, 3\) with n dates"),
        (lambda: replay(EVENT, VAULT, RETURNS, DATES[1:]), "with n dates"),
        (lambda: replay(EVENT, VAULT, RETURNS, DATES[::-1]), "dates must ascend"),
        (lambda: replace(EVENT, end=date(2020, 1, 1)), "event ends on 2020-01-01, before it starts"),
        (lambda: replace(EVENT, figures=()), "event needs an effect and a figure"),
        (lambda: replace(EVENT, effects=()), "event needs an effect and a figure"),
    ],
)
def test_what_is_refused(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
