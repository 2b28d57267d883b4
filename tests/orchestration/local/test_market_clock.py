"""The clock around the stack: times worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from models.contracts.clock import MarketClock
from orchestration.local.market_clock import going, has_market, is_played, standing, start_clock, stop_clock
from orchestration.resources.database_errors import DatabaseError
from orchestration.resources.database_url import with_database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)  # market time
WALL = datetime(2026, 11, 20, 8, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RUNNING = MarketClock(NOON, WALL - MINUTE, 60.0)  # a wall minute at 60: one market hour


@pytest.mark.parametrize(
    ("clock", "last", "clean", "at"),
    [
        (RUNNING, None, True, NOON + HOUR),
        (RUNNING, NOON + 20 * MINUTE, True, NOON + HOUR),
        (RUNNING, NOON + 20 * MINUTE, False, NOON + 20 * MINUTE),  # crashed: hours in which nothing ran do not count
        (RUNNING, None, False, NOON),
        (RUNNING, NOON - HOUR, False, NOON),  # never behind its anchor
        (RUNNING, NOON + 9 * HOUR, False, NOON + HOUR),  # nor ahead of itself
        (MarketClock(NOON, None, 60.0), NOON + HOUR, False, NOON),
    ],
)
def test_stopping(clock: MarketClock, last: datetime | None, clean: bool, at: datetime) -> None:
    assert standing(clock, last, WALL, clean) == MarketClock(at, None, 60.0)


def test_wall_clock_is_never_touched() -> None:
    live = MarketClock(None, None)
    assert standing(live, NOON, WALL, clean=True) == live
    assert going(live, WALL, 60.0) == live


def test_start_and_stop_in_the_warehouse(engine: Engine, database_url: str) -> None:
    assert not has_market(database_url)
    with engine.begin() as connection:
        connection.execute(
            text("insert into ops.market (name, data_mode, clock_anchor) values ('simulated', 'simulated', :at)"),
            {"at": NOON},
        )
    assert has_market(database_url)
    assert start_clock(database_url, WALL, 3600.0) == MarketClock(NOON, WALL, 3600.0)
    assert stop_clock(database_url, WALL + timedelta(seconds=2), clean=True) == MarketClock(
        NOON + 2 * HOUR, None, 3600.0
    )
    assert start_clock(database_url, WALL + HOUR, 1.0).anchor == NOON + 2 * HOUR


def test_unplayed_market_has_no_clock(database_url: str) -> None:
    with pytest.raises(DatabaseError, match="make run"):
        start_clock(database_url, WALL, 1.0)
    assert not has_market(with_database(database_url, "there_is_no_such_database"))
    assert not is_played(with_database(database_url, "there_is_no_such_database"))


ENDED = """
insert into ops.job_runs (job, run_id, ok, started_at, finished_at, market_time)
values (:job, :id, :ok, now(), now(), now())
"""


@pytest.mark.parametrize(
    ("job", "ok", "played"), [("training", True, True), ("training", False, False), ("hourly_refresh", True, False)]
)
def test_a_market_that_was_interrupted_is_not_played(
    engine: Engine, database_url: str, job: str, ok: bool, played: bool
) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into ops.market (name, data_mode) values ('simulated', 'simulated')"))
    assert not is_played(database_url)
    with engine.begin() as connection:
        connection.execute(text(ENDED), {"job": job, "id": "a", "ok": ok})
    assert is_played(database_url) is played
