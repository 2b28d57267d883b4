"""The desk that takes runs, asked by several at once and up to its limits: a run is taken once, whoever is first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from models.backtest import standard
from models.contracts.runs import Asker, RunStatus
from serving.app import create_app
from serving.runs import Desk
from tests.serving.conftest import without_keys
from tests.stored_market import SMALL, write_market

RUN = "/v1/backtest/run"
EVENTS = "select status from risk.run_events order by id"


@pytest.fixture
def servers(serving_url: str) -> Iterator[list[TestClient]]:
    """Two processes of the API on one database."""
    write_market(create_engine(serving_url, poolclass=NullPool))
    apps = [create_app(without_keys(serving_url)) for _ in range(2)]
    with TestClient(apps[0]) as one, TestClient(apps[1]) as other:
        for client in (one, other):  # the framework builds a route at its first request, and not for two at once
            assert client.post(RUN, json={}).status_code == 422
        yield [one, other]


def with_desk(client: TestClient, desk: Desk) -> TestClient:
    client.app.state.desk = desk  # type: ignore[attr-defined]
    return client


def ask(client: TestClient, **changes: Any) -> httpx2.Response:
    return client.post(RUN, json={**SMALL, **changes})


def at_once(*asked: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
    """All begun together, each in a thread of its own."""
    answers: list[httpx2.Response] = []
    together = threading.Barrier(len(asked))

    def one(ask_it: Callable[[], httpx2.Response]) -> None:
        together.wait()
        answers.append(ask_it())

    threads = [threading.Thread(target=one, args=(each,)) for each in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def told(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text(EVENTS)).scalars())


def cached(answers: Sequence[httpx2.Response]) -> list[bool]:
    return sorted(answer.json()["cached"] for answer in answers)


@pytest.mark.parametrize(("work_at_once", "status", "event"), [(0, 202, "queued"), (None, 200, "done")])
def test_of_two_processes_that_race_for_a_run_one_takes_it(
    servers: list[TestClient],
    writer: Engine,
    monkeypatch: pytest.MonkeyPatch,
    work_at_once: int | None,
    status: int,
    event: str,
) -> None:
    """Neither sees the other's run when it looks: then only the database can say who was first."""
    monkeypatch.setattr("serving.runs._standing", lambda name, store: None)
    first, second = (with_desk(server, Desk(work_at_once)) for server in servers)
    answers = at_once(lambda: ask(first), lambda: ask(second))
    assert [answer.status_code for answer in answers] == [status, status], [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert cached(answers) == [False, True]
    assert told(writer) == [event]


def test_equal_requests_at_once_are_computed_once(
    servers: list[TestClient], writer: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    compute = standard._run

    def counted(question: Any, watch: Any) -> Any:
        begun.append(question)
        return compute(question, watch)

    monkeypatch.setattr(standard, "_run", counted)
    answers = at_once(*[lambda: ask(servers[0])] * 4)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert cached(answers) == [False, True, True, True]
    assert (len(begun), told(writer)) == (1, ["done"])


def test_a_request_whose_run_died_may_be_made_again_and_is_taken_once(
    servers: list[TestClient], writer: Engine
) -> None:
    clients = [with_desk(server, Desk(at_once=0)) for server in servers]
    name = ask(clients[0]).json()["id"]
    runs = clients[0].app.state.store.runs  # type: ignore[attr-defined]
    assert runs.say(name, RunStatus.RUNNING, Asker.DAGSTER, "40%", "dead")
    meanwhile = ask(clients[0])
    assert (meanwhile.status_code, meanwhile.json()["status"], meanwhile.json()["cached"]) == (202, "running", True)
    assert runs.say(name, RunStatus.FAILED, Asker.DAGSTER, "the process ended")  # as the next job says
    again = at_once(*(lambda own=own: ask(own) for own in clients))  # type: ignore[misc]
    assert [(answer.status_code, answer.json()["status"]) for answer in again] == [(202, "queued")] * 2
    assert cached(again) == [False, True]
    assert told(writer) == ["queued", "running", "failed", "queued"]


@pytest.mark.parametrize(
    ("desk", "limit", "most", "taken"),
    [
        (Desk(at_once=0), "open_runs", 2, 202),
        (Desk(at_once=0, large_a_day=2), "large_runs_a_day", 2, 202),
        (Desk(small_a_day=2), "small_runs_a_day", 2, 200),
    ],
)
def test_beyond_a_limit_nothing_is_begun_and_the_answer_names_it(
    servers: list[TestClient],
    writer: Engine,
    monkeypatch: pytest.MonkeyPatch,
    desk: Desk,
    limit: str,
    most: int,
    taken: int,
) -> None:
    if limit == "open_runs":
        monkeypatch.setattr("serving.runs.MAX_OPEN", most)
    client = with_desk(servers[0], desk)
    answers = [ask(client, seed=seed) for seed in range(3)]
    assert [answer.status_code for answer in answers] == [taken, taken, 429]
    refused = answers[2].json()
    assert (refused["code"], refused["limit"], refused["most"]) == ("too_many_runs", limit, most)
    assert refused["detail"].startswith(f"{limit}: 2 ")
    assert 1 <= int(answers[2].headers["retry-after"]) <= 86_400
    assert len(told(writer)) == most
    found = ask(client, seed=0)  # what was taken is answered all the same
    assert (found.status_code, found.json()["cached"]) == (taken, True)


def test_many_at_once_do_not_get_past_the_limit(
    servers: list[TestClient], writer: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.runs.MAX_OPEN", 2)
    client = with_desk(servers[0], Desk(at_once=0))
    answers = at_once(*(lambda seed=seed: ask(client, seed=seed) for seed in range(5)))  # type: ignore[misc]
    assert Counter(answer.status_code for answer in answers) == {202: 2, 429: 3}
    assert told(writer) == ["queued", "queued"]
