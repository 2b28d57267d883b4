from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from orchestration.resources.warehouse import Warehouse
from orchestration.sources.budget import Budget, Every, Quota
from orchestration.sources.circuit import Circuit
from orchestration.sources.errors import BudgetSpent, CircuitOpen, Outage, QuotaExceeded, Reaction, UnknownSymbol
from tests.orchestration.sources.loopback import DictState, Wall, utc


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[DictState | Warehouse]:
    if request.param == "memory":
        yield DictState()
        return
    engine: Engine = request.getfixturevalue("engine")
    yield Warehouse(engine)


@pytest.mark.parametrize(
    ("every", "now", "pause_s", "reaction"),
    [
        (Every.MINUTE, "2026-03-31T23:59:20", 40, Reaction.RETRY),
        (Every.THIRD_OF_DAY, "2026-03-31T22:00:00", 7200, Reaction.STOP),
        (Every.DAY, "2026-03-31T23:00:00", 3600, Reaction.STOP),
        (Every.DAY, "2026-03-31T23:59:30", 30, Reaction.RETRY),
        (Every.MONTH, "2026-12-31T12:00:00", 43_200, Reaction.STOP),
        (Every.MONTH, "2028-02-28T00:00:00", 2 * 86_400, Reaction.STOP),
    ],
)
def test_window_ends_and_the_next_one_starts_full(every: Every, now: str, pause_s: float, reaction: Reaction) -> None:
    wall, store = Wall(utc(now)), DictState()
    budget = Budget("p", Quota(3, every), store, wall)
    budget.spend(2)
    assert budget.remaining() == 1
    with pytest.raises(BudgetSpent) as caught:
        budget.spend(2)
    assert caught.value.retry_after_s == pause_s
    assert caught.value.reaction is reaction
    assert budget.remaining() == 1
    wall.sleep(pause_s)
    assert budget.remaining() == 3


def test_budget_and_circuit_survive_a_restart(store: DictState | Warehouse) -> None:
    wall = Wall(utc("2026-03-04T12:00:00"))
    Budget("p", Quota(5, Every.MONTH), store, wall).spend(4)
    for _ in range(3):
        Circuit("p", store, wall).failure(Outage("p", "away"))
    assert Budget("p", Quota(5, Every.MONTH), store, wall).remaining() == 1
    with pytest.raises(CircuitOpen, match="2026-03-04T12:05:00Z after outage"):
        Circuit("p", store, wall).check()
    wall.sleep(300)
    assert Circuit("p", store, wall).half_open
    Circuit("p", store, wall).success()
    assert not Circuit("p", store, wall).half_open
    assert store.provider_state("p").failures == 0
    assert Budget("p", Quota(5, Every.MONTH), store, wall).remaining() == 1


def test_answers_that_prove_the_provider_is_up_close_the_circuit() -> None:
    wall, store = Wall(utc("2026-03-04T12:00:00")), DictState()
    circuit = Circuit("p", store, wall)
    circuit.failure(Outage("p", "away"))
    circuit.failure(Outage("p", "away"))
    circuit.failure(UnknownSymbol("p", "has no XYZ"))
    assert store.states["p"].failures == 0
    circuit.failure(BudgetSpent("p", "own count", 1e6))
    circuit.check()


def test_long_quota_pause_opens_at_once() -> None:
    wall, store = Wall(utc("2026-03-04T12:00:00")), DictState()
    circuit = Circuit("p", store, wall)
    circuit.failure(QuotaExceeded("p", "slow down", 61))
    with pytest.raises(CircuitOpen):
        circuit.check()
    wall.sleep(61)
    circuit.check()
