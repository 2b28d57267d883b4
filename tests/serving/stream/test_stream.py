"""The stream over HTTP on a real database: what is told, to whom, where it goes on, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from serving.app import create_app
from serving.settings import ServingSettings
from tests.serving.conftest import NOW, add_score, set_clock
from tests.serving.stream.served import Served, events, served, until


@pytest.fixture
def api(serving_url: str, writer: Engine) -> Iterator[Served]:
    set_clock(writer)
    app = create_app(ServingSettings(serving_url, streams=3, poll_s=0.02, heartbeat_s=0.1))
    with served(app) as running:
        yield running


def scored(writer: Engine, *numbers: int, subject: str = "BTC") -> None:
    for n in numbers:
        add_score(writer, subject=subject, score=float(n), as_of=NOW + timedelta(seconds=n),
                  issued_at=NOW + timedelta(seconds=n))  # fmt: skip


def test_a_new_score_is_told_with_what_changed(api: Served, writer: Engine) -> None:
    scored(writer, 40)
    with api.listen() as stream:
        first = next(stream)
        assert (first["retry"], first["id"]) == ("3000", "1-0-0")
        scored(writer, 41)
        (told,) = events(stream, 1)
    assert (told["event"], told["id"], told["data"]["id"]) == ("score", "2-0-0", "score-2")
    assert told["data"]["changed"] == {"score": {"from": 40, "to": 41}}
    followed = httpx.get(api.url + told["data"]["link"]).json()
    assert [score["score"] for score in followed["scores"]] == [41]


def test_a_reader_that_comes_back_misses_nothing_and_reads_nothing_twice(api: Served, writer: Engine) -> None:
    with api.listen() as stream:
        next(stream)
        scored(writer, 1, 2, 3)
        seen = events(stream, 2)
    scored(writer, 4, 5)
    with api.listen(last=seen[-1]["id"]) as stream:
        assert "id" not in next(stream), "it goes on from where it was, not from now"
        seen += events(stream, 3)
    assert [told["data"]["score"] for told in seen] == [1, 2, 3, 4, 5]


def test_another_process_goes_on_from_the_same_id(api: Served, writer: Engine, serving_url: str) -> None:
    with api.listen() as stream:
        next(stream)
        scored(writer, 1, 2)
        last = events(stream, 1)[0]["id"]
    with served(create_app(ServingSettings(serving_url, poll_s=0.02))) as other, other.listen(last=last) as stream:
        assert events(stream, 1)[0]["data"]["score"] == 2


def test_filters_let_through_what_was_asked_for(api: Served, writer: Engine) -> None:
    with api.listen(types="score,decision", series="ETH,vault:mixed") as stream:
        next(stream)
        scored(writer, 1)
        scored(writer, 2, subject="ETH")
        scored(writer, 3, subject="vault:mixed")
        assert [told["data"]["series"] for told in events(stream, 2)] == ["ETH", "vault:mixed"]
    with api.listen(types="alert", last="0-0-0") as stream:
        next(stream)
        beat = next(stream)
    assert (beat["comment"], beat["id"]) == ("here", "3-0-0"), "what it did not ask for is behind it all the same"


@pytest.mark.parametrize("last", ["yesterday", "9-9-9", "1-0"])
def test_an_id_that_is_not_kept_leads_to_a_reset(api: Served, writer: Engine, last: str) -> None:
    scored(writer, 1)
    with api.listen(last=last) as stream:
        next(stream)
        told = next(stream)
        assert (told["event"], told["id"], told["data"]["link"]) == ("reset", "1-0-0", "/v1/risk/current")
        scored(writer, 2)
        assert events(stream, 1)[0]["data"]["score"] == 2


def test_no_more_streams_than_may_be_and_a_place_is_given_back(api: Served) -> None:
    with api.listen() as one, api.listen() as two, api.listen() as three:
        for stream in (one, two, three):
            next(stream)
        answer = httpx.get(f"{api.url}/v1/stream")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
            503, "too_many_streams", "15",
        )  # fmt: skip
        assert answer.headers["content-type"] == "application/problem+json"
    until(lambda: api.app.state.hub.readers == 0)
    with api.listen() as stream:
        next(stream)


def test_head_answers_at_once(api: Served) -> None:
    answer = httpx.head(f"{api.url}/v1/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    until(lambda: api.app.state.hub.readers == 0)


@pytest.mark.parametrize("asked", ["types=scores", "types=", "series=a%20b", "since=1", "types=score&types=alert"])
def test_what_is_not_understood_is_refused(api: Served, asked: str) -> None:
    answer = httpx.get(f"{api.url}/v1/stream?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")


def test_the_database_goes_away_and_comes_back(api: Served, writer: Engine, serving_url: str) -> None:
    name = make_url(serving_url).database
    server = make_url(serving_url).set(database="postgres")
    admin = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with api.listen() as stream, admin.connect() as connection:
        next(stream)
        connection.execute(text(f'alter database "{name}" allow_connections false'))
        ended = text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name")
        connection.execute(ended, {"name": name})
        assert httpx.get(f"{api.url}/v1/risk/current").status_code == 503
        assert next(stream)["comment"] == "here", "the stream stays"
        connection.execute(text(f'alter database "{name}" allow_connections true'))
        scored(writer, 1)
        assert events(stream, 1)[0]["data"]["score"] == 1


def test_a_database_that_was_never_there_is_a_problem() -> None:
    away = ServingSettings("postgresql+psycopg2://nobody@127.0.0.1:1/none", statement_timeout_ms=500)
    with served(create_app(away)) as api:
        answer = httpx.get(f"{api.url}/v1/stream")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert api.app.state.hub.readers == 0


def test_streams_do_not_hold_the_server_up(serving_url: str, writer: Engine) -> None:
    set_clock(writer)
    with served(create_app(ServingSettings(serving_url, poll_s=0.02))) as api:
        listening = api.listen()
        stream = listening.__enter__()
        next(stream)
    assert list(stream) == [], "it ended, and `served` saw the server end"
    listening.__exit__(None, None, None)
