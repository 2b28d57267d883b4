from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.contracts.clock import MarketClock
from models.contracts.market import Calendar, DataMode, Dataset, SeriesKind, SeriesSpec
from orchestration.resources.database_errors import DatabaseError
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_records import ProviderState

T0 = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    made = Warehouse.connect(database_url)
    yield made
    made.close()


def test_clock_survives_and_is_claimed_once(warehouse: Warehouse) -> None:
    with pytest.raises(DatabaseError, match="make run"):
        warehouse.clock()
    with pytest.raises(DatabaseError, match="make run"):
        warehouse.set_clock(MarketClock(T0, None))
    standing = MarketClock(T0, None)
    warehouse.set_market("simulated", DataMode.SIMULATED, 7, standing)
    assert warehouse.clock() == standing
    running = MarketClock(T0, T0 + timedelta(days=200), 60.0)
    warehouse.set_clock(running)
    assert warehouse.clock() == running
    claimed_again = warehouse.set_market("simulated", DataMode.SIMULATED, 7, standing)
    assert claimed_again.clock == running
    with pytest.raises(DatabaseError, match="seed 8"):
        warehouse.set_market("simulated", DataMode.SIMULATED, 8, standing)
    warehouse.set_clock(MarketClock(None, None))
    assert warehouse.clock().now(T0) == T0


def test_series_catalogue_follows_the_universe(warehouse: Warehouse) -> None:
    spec = SeriesSpec(
        "BTC", Dataset.CANDLES, SeriesKind.CANDLES, Calendar.ALWAYS, "1h", 3600, 7200, "BTC", "USDT", "binance"
    )
    assert warehouse.upsert_series([spec], DataMode.SIMULATED) == 1
    assert warehouse.upsert_series([spec], DataMode.SIMULATED) == 1
    found = warehouse.read("select id, kind, calendar, scored, max_age_s from ops.series")
    assert [tuple(row) for row in found.to_numpy()] == [("BTC", "candles", "always", True, 7200)]


def test_one_name_may_stand_in_two_datasets(warehouse: Warehouse) -> None:
    specs = [
        SeriesSpec("BTC:x", dataset, SeriesKind.CANDLES, Calendar.ALWAYS, "1h", 0, 7200, "BTC", "USDT", "x")
        for dataset in (Dataset.FUNDING, Dataset.OPEN_INTEREST)
    ]
    warehouse.upsert_series(specs, DataMode.SIMULATED)
    found = warehouse.rows("select dataset from ops.series where id = 'BTC:x' order by dataset")
    assert [row["dataset"] for row in found] == ["funding", "open_interest"]


def test_job_runs(warehouse: Warehouse) -> None:
    end = T0 + timedelta(minutes=1)
    warehouse.record_job_run("hourly", "r1", False, started_at=T0, finished_at=end, market_time=T0, error_text="away")
    warehouse.record_job_run("hourly", "r1", True, started_at=T0, finished_at=end, market_time=T0)
    found = warehouse.read("select job, run_id, ok, error_text from ops.job_runs")
    assert found["ok"].tolist() == [True]
    assert found["error_text"].isna().all()


def test_provider_state_round_trip(warehouse: Warehouse) -> None:
    assert warehouse.provider_state("fixer") == ProviderState("fixer")
    state = ProviderState("fixer", "2026-01", 3, 100, 2, T0, "quota")
    warehouse.save_provider_state(state)
    assert warehouse.provider_state("fixer") == state


def test_what_others_spend_while_a_circuit_opens_is_not_forgotten(warehouse: Warehouse) -> None:
    warehouse.spend_budget("fixer", "2026-01", 100)
    read = warehouse.provider_state("fixer")
    warehouse.spend_budget("fixer", "2026-01", 100, cost=4)
    warehouse.save_provider_state(replace(read, failures=3, open_until=T0, last_error_kind="outage"))
    assert warehouse.provider_state("fixer") == ProviderState("fixer", "2026-01", 5, 100, 3, T0, "outage")


def test_budget_is_never_overspent_and_renews(warehouse: Warehouse) -> None:
    assert [warehouse.spend_budget("fixer", "2026-01", 2) for _ in range(3)] == [True, True, False]
    assert warehouse.spend_budget("fixer", "2026-02", 2, cost=2)
    assert not warehouse.spend_budget("fixer", "2026-02", 2)
    assert not warehouse.spend_budget("other", "2026-02", 2, cost=3)
    assert warehouse.provider_state("fixer").budget_used == 2
    assert warehouse.spend_budget("fixer", "2026-02", 2, cost=-1)
    assert warehouse.provider_state("fixer").budget_used == 1
    assert warehouse.spend_budget("fixer", "2026-03", 2, cost=-1)  # given back after the window ended
    assert warehouse.provider_state("fixer").budget_used == 0
