"""Whatever is sent to an endpoint that takes runs: no server error, and no work begun beyond what is allowed.

A good share of what is sent is computed, some is queued, some refused; and planted faults of a desk are found.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.runs import Asker, RunKind, RunStatus
from models.runs.bounds import MOST
from models.runs.kinds import KINDS
from models.runs.plan import Outcome, Plan, Watch
from serving.app import create_app
from serving.runs import Desk
from tests.serving.bodies import bodies
from tests.serving.conftest import without_keys
from tests.stored_market import SMALL, SMALL_SIMULATION, write_market

RUNS = {RunKind.BACKTEST: "/v1/backtest/run", RunKind.SIMULATION: "/v1/risk/simulate"}
AT_ONCE, OPEN, LARGE_A_DAY = 12_000_000, 5, 12  # less than what is usual, so that all are met
NO_QUERY: st.SearchStrategy[dict[str, str]] = st.just({})
WORDS = st.text(max_size=8)
QUERIES = NO_QUERY | NO_QUERY | NO_QUERY | st.dictionaries(WORDS, WORDS, max_size=1)
EVENTS = "select count(*) from risk.run_events where status = :status"


class Watched:
    """An API whose computations are seen as they begin; `ask` holds each answer to what is allowed."""

    def __init__(self, client: TestClient, engine: Engine, begun: list[Plan]) -> None:
        self.client, self.engine, self.begun = client, engine, begun

    @property
    def runs(self) -> Any:
        return self.client.app.state.store.runs  # type: ignore[attr-defined]

    def place(self, desk: Desk) -> None:
        self.client.app.state.desk = desk  # type: ignore[attr-defined]

    def ask(self, kind: RunKind, body: bytes, query: Mapping[str, str]) -> str:
        """What became of it: computed, found, queued, refused or beyond a limit. Raises AssertionError."""
        self.begun.clear()
        headers = {"content-type": "application/json"}
        answer = self.client.post(RUNS[kind], content=body, headers=headers, params=query)
        assert answer.status_code in (200, 202, 400, 422, 429), answer.text
        said = answer.json()
        assert len(self.begun) <= 1
        assert all(least_work(plan) <= plan.work <= AT_ONCE for plan in self.begun)
        assert len(self.runs.open(10 * OPEN)) <= OPEN
        with self.engine.connect() as connection:
            assert connection.execute(text(EVENTS), {"status": "queued"}).scalar_one() <= LARGE_A_DAY
        if answer.status_code == 200:
            assert len(self.begun) == (not said["cached"])
            return "found" if said["cached"] else "computed"
        if answer.status_code == 202:
            assert self.begun == []
            assert said["work"] <= MOST
            return "queued"
        if answer.status_code == 429:
            assert self.begun == []
            assert said["detail"].startswith(f"{said['limit']}: {said['most']} ")
            return said["limit"]  # type: ignore[no-any-return]
        assert said["detail"].startswith(f"{said['field']}: ")
        return "refused"

    def cancel_what_waits(self) -> None:
        for run in self.runs.open(10 * OPEN):
            self.runs.say(run.id, RunStatus.CANCELLED, Asker.CLI)


def least_work(plan: Plan) -> int:
    """What a run surely takes, from its inputs alone: legs of steps of paths, or of hours of shifted courses."""
    said, legs = plan.inputs, len(plan.inputs["vault"]["assets"])
    if plan.kind is RunKind.SIMULATION:
        return int(said["paths"] * said["days"] * legs)
    return int(250 * 24 * legs * len(said["policies"]) * said["placebo_shifts"])


def seen(begun: list[Plan], plan_of: Callable[..., Plan]) -> Callable[..., Plan]:
    def planned(body: object, data: Any) -> Plan:
        plan = plan_of(body, data)

        def compute(watch: Watch) -> Outcome:
            begun.append(plan)
            return plan.compute(watch)

        return replace(plan, compute=compute)

    return planned


@pytest.fixture
def watched(serving_url: str, writer: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    write_market(create_engine(serving_url, poolclass=NullPool), days=320, first_score=35)
    begun: list[Plan] = []
    kinds = {kind: replace(own, plan=seen(begun, own.plan)) for kind, own in KINDS.items()}
    monkeypatch.setattr("serving.runs.KINDS", kinds)
    monkeypatch.setattr("serving.runs.MAX_OPEN", OPEN)
    with TestClient(create_app(without_keys(serving_url)), raise_server_exceptions=False) as client:
        found = Watched(client, writer, begun)
        found.place(Desk(AT_ONCE, LARGE_A_DAY))
        yield found


@pytest.mark.parametrize("kind", RunKind)
def test_whatever_is_asked_no_server_error_and_no_work_beyond_the_bounds(watched: Watched, kind: RunKind) -> None:
    became: Counter[str] = Counter()

    @settings(max_examples=80, deadline=None, database=None)
    @given(bodies(kind), QUERIES)
    def each(body: Any, query: dict[str, str]) -> None:
        met = watched.ask(kind, json.dumps(body).encode(), query)
        became[met] += 1
        if met == "open_runs":
            watched.cancel_what_waits()

    each()
    assert became["computed"] >= became.total() / 10, became
    assert became["refused"] >= became.total() / 10, became


@pytest.mark.parametrize("kind", RunKind)
def test_whatever_bytes_are_sent(watched: Watched, kind: RunKind) -> None:
    @settings(max_examples=100, deadline=None, database=None)
    @given(st.binary(max_size=60))
    def each(body: bytes) -> None:
        assert watched.ask(kind, body, {}) == "refused"

    each()


def large(kind: RunKind, seed: int) -> bytes:
    """Too large for these bounds, but not for those that are usual."""
    more = {"bootstrap_repetitions": 2_000} if kind is RunKind.BACKTEST else {"paths": 20_000, "days": 30}
    small = SMALL if kind is RunKind.BACKTEST else SMALL_SIMULATION
    return json.dumps({**small, **more, "seed": seed}).encode()


def without_bound(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.place(Desk(10**12, LARGE_A_DAY))


def without_end_of_the_queue(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.runs.MAX_OPEN", 10**6)


def without_bound_of_a_day(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.place(Desk(AT_ONCE))


def that_forgets_what_it_costs(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("models.backtest.standard", "models.stress.standard"):
        monkeypatch.setattr(f"{name}._work", lambda question: 1)


def that_takes_what_is_too_large(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("models.backtest.standard", "models.stress.standard"):
        monkeypatch.setattr(f"{name}.MOST", 10**15)
        monkeypatch.setattr(f"{name}._work", lambda question: 10**12)


def that_breaks(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.runs.Desk._queue", lambda *given: {}["nothing"])


@pytest.mark.parametrize("kind", RunKind)
@pytest.mark.parametrize(
    "fault",
    [
        None,
        without_bound,
        without_end_of_the_queue,
        without_bound_of_a_day,
        that_forgets_what_it_costs,
        that_takes_what_is_too_large,
        that_breaks,
    ],
)
def test_a_desk_with_a_fault_is_found(
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    kind: RunKind,
    fault: Callable[[Watched, pytest.MonkeyPatch], None] | None,
) -> None:
    """Large requests one after the other, until the queue is full, is emptied, and the day's number is reached."""

    def ask_many() -> list[str]:
        met = []
        for seed in range(LARGE_A_DAY + 4):
            met.append(watched.ask(kind, large(kind, seed), {}))
            if met[-1] == "open_runs":
                watched.cancel_what_waits()
        return met

    if fault is None:
        assert Counter(ask_many()) == {"queued": LARGE_A_DAY, "open_runs": 2, "large_runs_a_day": 2}
        return
    fault(watched, monkeypatch)
    with pytest.raises(AssertionError):
        ask_many()
