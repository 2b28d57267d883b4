"""Every fault planted in the simulated market is found, and every true event is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.market import Dataset
from models.stress.script import HISTORY_END, PlantedEvent, planted_events
from orchestration.quality.flags import flag_rows
from orchestration.quality.gap_scan import scan_gaps
from orchestration.quality.suspects import hold_suspects
from orchestration.resources.database_url import with_database
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.sources.simulated import SimulatedMarket
from orchestration.universe import load_universe

SEED = 7
NOW = HISTORY_END + timedelta(days=10)
JUDGED = (Dataset.CANDLES, Dataset.FX_RATES)


@pytest.fixture(scope="module")
def judged(server_url: str, template_database: str) -> Iterator[Warehouse]:
    server = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"create database planted template {template_database} strategy file_copy"))
    warehouse = Warehouse.connect(with_database(server_url, "planted"))
    try:
        market = SimulatedMarket(load_universe(DEFAULT_UNIVERSE), SEED)
        warehouse.upsert_series(market.series(), market.mode)
        for dataset in JUDGED:
            warehouse.append(dataset, market.fetch(dataset, None, HISTORY_END, HISTORY_END).frame, "history")
        hold_suspects(warehouse, HISTORY_END, "history")
        for dataset in JUDGED:
            warehouse.append(dataset, market.fetch(dataset, HISTORY_END, NOW, NOW).frame, "later")
        hold_suspects(warehouse, NOW, "later")
        flag_rows(warehouse, NOW, "later")
        scan_gaps(warehouse, market, NOW, "scan", fill=False)
        yield warehouse
    finally:
        warehouse.close()
        with server.connect() as connection:
            connection.execute(text("drop database planted with (force)"))


def marked(warehouse: Warehouse, event: PlantedEvent, condition: str) -> set[datetime]:
    """Times of the event's rows with such an entry in the quarantine."""
    rows = warehouse.rows(
        "select q.ts from raw.quarantine as q left join raw.quarantine_releases as r on r.quarantine_id = q.id "
        f"where q.dataset = :dataset and q.series = :series and q.ts >= :start and q.ts < :end and {condition}",
        {"dataset": event.dataset.value, "series": event.series, "start": event.start, "end": event.end},
    )
    return {row["ts"] for row in rows}


def stored(warehouse: Warehouse, event: PlantedEvent) -> set[datetime]:
    rows = warehouse.rows(
        f"select ts from raw.{event.dataset.value} where series = :series and ts >= :start and ts < :end",
        {"series": event.series, "start": event.start, "end": event.end},
    )
    return {row["ts"] for row in rows}


def events(verdict: str) -> list[object]:
    return [
        pytest.param(e, id=f"{e.kind} {e.series} {e.start:%Y-%m-%d}") for e in planted_events() if e.verdict == verdict
    ]


@pytest.mark.parametrize("event", events("hold"))
def test_what_is_not_to_be_believed_is_held_for_good(judged: Warehouse, event: PlantedEvent) -> None:
    rows = stored(judged, event)
    assert rows
    assert marked(judged, event, "q.action = 'hold' and r.quarantine_id is null") == rows


@pytest.mark.parametrize("event", events("flag"))
def test_what_is_used_but_doubtful_is_flagged(judged: Warehouse, event: PlantedEvent) -> None:
    rows = stored(judged, event)
    assert rows
    assert marked(judged, event, "q.action = 'flag'") == rows
    assert not marked(judged, event, "q.action = 'hold'")


@pytest.mark.parametrize("event", events("missing"))
def test_what_is_missing_is_found(judged: Warehouse, event: PlantedEvent) -> None:
    found = judged.rows(
        "select sum(missing_slots)::int as slots from ops.gaps where dataset = :dataset and series = :series "
        "and gap_start >= :start and gap_end <= :end",
        {"dataset": event.dataset.value, "series": event.series, "start": event.start, "end": event.end},
    )
    length = timedelta(hours=1) if event.dataset is Dataset.CANDLES else timedelta(days=1)
    assert found[0]["slots"] == (event.end - event.start) // length
    assert not stored(judged, event)


@pytest.mark.parametrize("event", events("keep"))
def test_what_is_true_is_kept(judged: Warehouse, event: PlantedEvent) -> None:
    rows = stored(judged, event)
    assert rows
    faults = [e for e in planted_events() if e.series == event.series and e.verdict == "hold"]
    held = marked(judged, event, "q.action = 'hold' and r.quarantine_id is null")
    assert not [ts for ts in held if not any(e.start <= ts < e.end for e in faults)]


def test_nothing_else_is_held_for_good(judged: Warehouse) -> None:
    rows = judged.rows(
        "select q.series, q.ts from raw.quarantine as q left join raw.quarantine_releases as r "
        "on r.quarantine_id = q.id where q.action = 'hold' and r.quarantine_id is null"
    )
    planted = [e for e in planted_events() if e.verdict == "hold"]
    assert not [r for r in rows if not any(e.series == r["series"] and e.start <= r["ts"] < e.end for e in planted)]


def test_a_full_second_run_adds_nothing(judged: Warehouse) -> None:
    again = hold_suspects(judged, NOW, "again", full=True)
    assert (again.holds, again.releases) == (0, 0)
    assert again.prints > 150_000
