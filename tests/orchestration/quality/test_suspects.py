from __future__ import annotations

from datetime import timedelta

import pytest

from models.contracts.market import DataMode, Dataset
from orchestration.quality.suspects import Held, hold_suspects
from orchestration.resources.warehouse import Warehouse
from tests.orchestration.quality.rates import daily, frame, spec, weekday

NGN = "USDNGN:test"
NOW = weekday(200)


@pytest.fixture(autouse=True)
def catalogue(warehouse: Warehouse) -> None:
    warehouse.upsert_series([spec(NGN), spec("USDNGN:hourly", interval="1h")], DataMode.REPLAY)


def holds(warehouse: Warehouse) -> list[tuple[int, str, bool]]:
    """(place among weekdays, value, released by the rule)."""
    rows = warehouse.rows(
        "select q.ts, q.value, q.known_at, r.known_at as released_at from raw.quarantine as q "
        "left join raw.quarantine_releases as r on r.quarantine_id = q.id where q.action = 'hold' order by q.ts, q.id"
    )
    assert all(row["known_at"] == row["ts"] + timedelta(days=1) for row in rows)
    place = {weekday(n): n for n in range(60)}
    return [(place[row["ts"]], row["value"], row["released_at"] is not None) for row in rows]


def test_wrong_scale_is_held_and_a_break_is_released(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.FX_RATES, daily(NGN, [199, 1.99, 199, 281, 282, 283, 284]), None)
    assert hold_suspects(warehouse, NOW, "r") == Held(series=1, prints=7, holds=3, releases=2)
    assert holds(warehouse) == [(1, "1.99", False), (3, "281", True), (4, "282", True)]
    released = warehouse.rows("select known_at, released_by from raw.quarantine_releases")
    assert {(r["known_at"], r["released_by"]) for r in released} == {(weekday(5) + timedelta(days=1), "rule")}
    assert hold_suspects(warehouse, NOW, "r") == Held(0, 0, 0, 0)
    again = hold_suspects(warehouse, NOW, "r", full=True)
    assert (again.holds, again.releases) == (0, 0)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_print_by_print_gives_the_same_as_all_at_once(warehouse: Warehouse, step: int) -> None:
    rates = [199, 1.99, 199, 281, 282, 199, 281, 282, 283, 284, 28, 285, 600]
    for first in range(0, len(rates), step):
        warehouse.append(Dataset.FX_RATES, daily(NGN, rates[first : first + step], first), None)
        hold_suspects(warehouse, NOW, "r")
    assert holds(warehouse) == [
        (1, "1.99", False), (3, "281", False), (4, "282", False), (6, "281", True), (7, "282", True),
        (10, "28", False), (12, "600", False),
    ]  # fmt: skip


def test_alarm_comes_with_the_first_held_print(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.FX_RATES, daily(NGN, [199, 281, 282, 283]), None)
    assert hold_suspects(warehouse, weekday(1), "r").holds == 0  # not known yet
    warehouse.append(Dataset.FX_RATES, daily(NGN, [284], 4), None)
    assert hold_suspects(warehouse, NOW, "r").holds == 2


def test_of_two_values_for_a_day_only_the_wrong_one_is_held(warehouse: Warehouse) -> None:
    rows = frame([{"series": NGN, "ts": weekday(i), "rate": rate} for i, rate in
                  [(0, "22.7"), (1, "61.9331"), (1, "22.7342"), (2, "22.8")]])  # fmt: skip
    warehouse.append(Dataset.FX_RATES, rows, None)
    hold_suspects(warehouse, NOW, "r")
    assert holds(warehouse) == [(1, "61.9331", False)]


def test_late_history_is_judged_too(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.FX_RATES, daily(NGN, [199, 200], 10), None)
    hold_suspects(warehouse, NOW, "r")
    warehouse.append(Dataset.FX_RATES, daily(NGN, [198, 1.98, 198], 0), None)
    assert hold_suspects(warehouse, NOW, "r").holds == 1
    assert holds(warehouse) == [(1, "1.98", False)]


def test_a_human_release_makes_the_print_good(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.FX_RATES, daily(NGN, [199, 281]), None)
    hold_suspects(warehouse, NOW, "r")
    (held,) = warehouse.rows("select id from raw.quarantine")
    warehouse.release([held["id"]], reason="announced by the bank", released_by="ada", known_at=NOW)
    warehouse.append(Dataset.FX_RATES, daily(NGN, [282, 283], 2), None)
    hold_suspects(warehouse, NOW, "r")
    assert holds(warehouse) == [(1, "281", True)]


def test_weekends_other_intervals_and_unknown_series_are_left_alone(warehouse: Warehouse) -> None:
    saturday = weekday(0) + timedelta(days=5)
    rows = frame(
        [{"series": NGN, "ts": weekday(0), "rate": "199"}, {"series": NGN, "ts": saturday, "rate": "1"},
         {"series": "USDNGN:hourly", "interval": "1h", "ts": weekday(0), "rate": "1"},
         {"series": "USDNGN:hourly", "interval": "1h", "ts": weekday(1), "rate": "100"}]
    )  # fmt: skip
    warehouse.append(Dataset.FX_RATES, rows, None)
    assert hold_suspects(warehouse, NOW, "r") == Held(series=1, prints=1, holds=0, releases=0)
