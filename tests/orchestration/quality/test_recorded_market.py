"""Every wart of the recorded rates that the checks must catch, through the database, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.market import DataMode, Dataset
from orchestration.quality.flags import flag_rows
from orchestration.quality.suspects import hold_suspects
from orchestration.resources.database_url import with_database
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.sources.replay import ReplayMarket
from orchestration.universe import load_universe

pytestmark = pytest.mark.realdata

SERIES = [
    "USDNGN:yahoo", "USDNGN:cbn_official", "KESUGX:cbk_2016_2025", "KESTZS:cbk_2016_2025", "KESRWF:cbk_2016_2025",
    "USDGBP:openexchangerates_git", "USDTBOB:binance_p2p:buy", "USDTBOB:binance_p2p:sell", "USDXOF:yahoo",
]  # fmt: skip
NGN_SCALE = (
    "2011-01-25 2011-01-26 2011-03-17 2015-07-29 2016-03-22 2016-06-28 2016-07-12 2016-12-02 2017-02-15 2017-06-15 "
    "2017-06-16 2017-08-08 2018-07-20"
)
HELD = [
    ("USDNGN:yahoo", NGN_SCALE),
    ("USDNGN:cbn_official", "2003-12-09 2007-08-28 2008-08-01"),
    ("KESUGX:cbk_2016_2025", "2017-03-28"),
    ("KESTZS:cbk_2016_2025", "2017-03-28 2019-05-22"),
    ("KESRWF:cbk_2016_2025", "2017-03-28"),
    ("USDGBP:openexchangerates_git", "2002-07-11"),
]


@pytest.fixture(scope="module")
def judged(
    real_data: Path, server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("rates")
    for name in ("fx_daily", "fx_daily_ohlc", "fx_parallel"):
        (folder / f"{name}.csv.gz").symlink_to(real_data / f"{name}.csv.gz")
    server = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"create database recorded template {template_database}"))
    warehouse = Warehouse.connect(with_database(server_url, "recorded"))
    try:
        market = ReplayMarket(folder, load_universe(DEFAULT_UNIVERSE))
        now = market.history_end()
        warehouse.upsert_series([s for s in market.series() if s.id in SERIES], DataMode.REPLAY)
        warehouse.append(Dataset.FX_RATES, market.fetch(Dataset.FX_RATES, None, now, now, SERIES).frame, "test")
        hold_suspects(warehouse, now, "test")
        flag_rows(warehouse, now, "test")
        yield warehouse
    finally:
        warehouse.close()
        with server.connect() as connection:
            connection.execute(text("drop database recorded with (force)"))


def days(warehouse: Warehouse, series: str, condition: str) -> set[str]:
    rows = warehouse.rows(
        "select to_char(q.ts, 'YYYY-MM-DD') as day from raw.quarantine as q "
        f"left join raw.quarantine_releases as r on r.quarantine_id = q.id where q.series = :series and {condition}",
        {"series": series},
    )
    return {row["day"] for row in rows}


@pytest.mark.parametrize(("series", "expected"), HELD)
def test_errors_are_held_for_good(judged: Warehouse, series: str, expected: str) -> None:
    assert set(expected.split()) <= days(judged, series, "q.action = 'hold' and r.quarantine_id is null")


def test_the_break_of_june_2016_is_kept(judged: Warehouse) -> None:
    released = days(judged, "USDNGN:yahoo", "q.action = 'hold' and r.released_by = 'rule'")
    assert {"2016-06-22", "2016-06-23"} <= released


@pytest.mark.parametrize(
    ("series", "reason", "at_least"),
    [
        ("USDNGN:cbn_official", "conflicting_duplicate", 1),
        ("KESTZS:cbk_2016_2025", "conflicting_duplicate", 1),
        ("USDTBOB:binance_p2p:buy", "absurd_low_advert", 1),
        ("USDTBOB:binance_p2p:buy", "absurd_high_advert", 1),
        ("USDXOF:yahoo", "close_outside_range", 500),
        ("USDNGN:yahoo", "close_outside_range", 500),
    ],
)
def test_contradictions_are_flagged(judged: Warehouse, series: str, reason: str, at_least: int) -> None:
    assert len(days(judged, series, f"q.action = 'flag' and q.reason = '{reason}'")) >= at_least


def test_second_run_adds_nothing(judged: Warehouse) -> None:
    now = judged.rows("select max(available_at) as at from raw.fx_rates")[0]["at"]
    again = hold_suspects(judged, now, "again", full=True)
    assert (again.holds, again.releases) == (0, 0)
