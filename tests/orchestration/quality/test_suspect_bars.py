"""Holds on bars and street rates, through the database."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from models.contracts.market import COLUMNS, Calendar, DataMode, Dataset, SeriesKind, SeriesSpec
from orchestration.quality.suspects import Held, hold_suspects
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.sources.replay import ReplayMarket
from orchestration.universe import load_universe
from tests.orchestration.quality.rates import MONDAY, frame, spec, weekday

HOUR = timedelta(hours=1)
NOW = MONDAY + timedelta(days=100)
STREET = "USDNGN:street"
# A day of usual hours, then: a thin move, a wrong scale, a new level that comes true.
CLOSES = [100.0] * 26 + [120, 101, 1.01, 102, 300, 301, 302, 303, 304]
VOLUME = [50.0] * 26 + [0.1] + [50.0] * 8


@pytest.fixture(autouse=True)
def catalogue(warehouse: Warehouse) -> None:
    btc = SeriesSpec("BTC", Dataset.CANDLES, SeriesKind.CANDLES, Calendar.ALWAYS, "1h", 3600, 7200, "BTC", "USDT", "t")
    warehouse.upsert_series([btc, spec(STREET, SeriesKind.STREET, "irregular")], DataMode.REPLAY)


def bars(closes: Sequence[float], volume: Sequence[float], first: int = 0) -> pd.DataFrame:
    ts = pd.DatetimeIndex([MONDAY + (first + i) * HOUR for i in range(len(closes))])
    made = pd.DataFrame(dict.fromkeys(COLUMNS[Dataset.CANDLES]), index=range(len(closes)), dtype=object)
    for name in ("open", "high", "low", "close"):
        made[name] = [str(close) for close in closes]
    return made.assign(
        series="BTC", interval="1h", ts=ts, available_at=ts + HOUR, volume_base=[str(v) for v in volume],
        source="test", provider="test", data_mode="replay",
    )  # fmt: skip


def holds(warehouse: Warehouse) -> list[tuple[int, str, bool]]:
    """(hour, reason, released)."""
    rows = warehouse.rows(
        "select q.ts, q.reason, q.known_at, r.known_at as released_at from raw.quarantine as q "
        "left join raw.quarantine_releases as r on r.quarantine_id = q.id where q.action = 'hold' order by q.ts, q.id"
    )
    return [((row["ts"] - MONDAY) // HOUR, row["reason"], row["released_at"] is not None) for row in rows]


FOUND = [(26, "thin_market", False), (28, "wrong_scale", False), (30, "wrong_scale", True), (31, "wrong_scale", True)]


def test_bars_are_held_and_a_new_level_is_released(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.CANDLES, bars(CLOSES, VOLUME), None)
    assert hold_suspects(warehouse, NOW, "r") == Held(series=1, prints=35, holds=4, releases=2)
    assert holds(warehouse) == FOUND
    said = warehouse.rows("select detail, value, known_at from raw.quarantine order by ts")[0]
    assert said["detail"] == "+0.182 (log) from the last good rate 100"
    assert (said["value"], said["known_at"]) == ("120", MONDAY + 27 * HOUR)
    assert hold_suspects(warehouse, NOW, "r") == Held(0, 0, 0, 0)
    again = hold_suspects(warehouse, NOW, "r", full=True)
    assert (again.holds, again.releases) == (0, 0)


@pytest.mark.parametrize("step", [1, 2, 7])
def test_bar_by_bar_gives_the_same_as_all_at_once(warehouse: Warehouse, step: int) -> None:
    for first in range(0, len(CLOSES), step):
        part = slice(first, first + step)
        warehouse.append(Dataset.CANDLES, bars(CLOSES[part], VOLUME[part], first), None)
        hold_suspects(warehouse, NOW, "r")
    assert holds(warehouse) == FOUND


def test_a_wrong_bar_that_was_corrected_is_held_alone(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.CANDLES, bars([100, 1, 100], [5, 5, 5]), None)
    corrected = bars([101], [5], 1).assign(available_at=MONDAY + 9 * HOUR)
    warehouse.append(Dataset.CANDLES, corrected, None)
    hold_suspects(warehouse, NOW, "r")
    assert [row["value"] for row in warehouse.rows("select value from raw.quarantine")] == ["1"]


def test_a_range_that_reaches_too_far_is_held_with_its_numbers(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.CANDLES, bars([100, 101, 102], [5, 5, 5]).assign(high=["100", "323", "102"]), None)
    hold_suspects(warehouse, NOW, "r")
    found = warehouse.rows("select reason, detail from raw.quarantine")
    assert [tuple(row.values()) for row in found] == [("range_far_from_last_good", "from 101 to 323 around 100")]


def test_a_human_may_release_a_bar(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.CANDLES, bars([100, 250], [5, 5]), None)
    hold_suspects(warehouse, NOW, "r")
    (held,) = warehouse.rows("select id from raw.quarantine")
    warehouse.release([held["id"]], reason="seen elsewhere", released_by="ada", known_at=NOW)
    warehouse.append(Dataset.CANDLES, bars([251], [5], 2), None)
    hold_suspects(warehouse, NOW, "r")
    assert holds(warehouse) == [(1, "wrong_scale", True)]


def test_street_rates_of_one_advert_or_another_scale(warehouse: Warehouse) -> None:
    said = [("1500", 60), ("1950", 1), ("1501", 60), ("1950", 60), ("195", 60), ("1960", None)]
    usual = {"series": STREET, "kind": "street", "interval": "irregular", "side": "buy"}
    rows = [usual | {"ts": weekday(n), "rate": rate, "n_offers": offers} for n, (rate, offers) in enumerate(said)]
    warehouse.append(Dataset.FX_RATES, frame(rows), None)
    assert hold_suspects(warehouse, NOW, "r") == Held(series=1, prints=6, holds=2, releases=0)
    found = warehouse.rows("select value, reason from raw.quarantine order by ts")
    assert [(r["value"], r["reason"]) for r in found] == [("1950", "thin_market"), ("195", "wrong_scale")]


@pytest.mark.realdata
def test_all_recorded_bars_are_judged_in_seconds_and_once(
    warehouse: Warehouse, real_data: Path, tmp_path: Path
) -> None:
    for name in ("candles_1h", "candles_1h_perp", "candles_4h_perp", "candles_1d", "candles_1m_stress"):
        (tmp_path / name).symlink_to(real_data / name)
    market = ReplayMarket(tmp_path, load_universe(DEFAULT_UNIVERSE))
    now = market.history_end()
    warehouse.upsert_series(market.series(), DataMode.REPLAY)
    warehouse.append(Dataset.CANDLES, market.fetch(Dataset.CANDLES, None, now, now).frame, None)
    began = time.process_time()
    held = hold_suspects(warehouse, now, "first")
    assert time.process_time() - began < 10
    assert held.prints > 480_000
    rows = warehouse.rows("select series, interval from raw.quarantine where action = 'hold'")
    assert not [r for r in rows if r["interval"] == "1h"]
    assert hold_suspects(warehouse, now, "second") == Held(0, 0, 0, 0)
    again = hold_suspects(warehouse, now, "third", full=True)
    assert (again.holds, again.releases) == (0, 0)
