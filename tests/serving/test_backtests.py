"""Backtests over HTTP: asked, answered or queued, found again, compared; and what is refused, with the way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from serving.app import create_app
from serving.runs import Desk
from tests.serving.conftest import without_keys
from tests.stored_market import LAST_DAY, SMALL, write_market

RUN = "/v1/backtest/run"


@pytest.fixture
def client(serving_url: str) -> Iterator[TestClient]:
    write_market(create_engine(serving_url, poolclass=NullPool))
    with TestClient(create_app(without_keys(serving_url))) as made:
        yield made


@pytest.fixture
def slow_client(client: TestClient) -> TestClient:
    """Everything is too large to be answered at once."""
    client.app.state.desk = Desk(at_once=0)  # type: ignore[attr-defined]
    return client


def ask(client: TestClient, **changes: Any) -> httpx2.Response:
    return client.post(RUN, json={**SMALL, **changes})


def test_a_small_run_is_answered_at_once_and_found_again(client: TestClient) -> None:
    first, second = ask(client), ask(client)
    assert (first.status_code, second.status_code) == (200, 200)
    body = first.json()
    assert (body["status"], body["cached"], body["requested_by"]) == ("done", False, "api")
    assert second.json() == body | {"cached": True}
    assert body["inputs"]["vault"]["policy"] == "onoff"
    assert body["summary"]["span"]["end"] == LAST_DAY.isoformat()
    names = [each["name"] for each in body["summary"]["strategies"]]
    assert names == ["onoff", "onoff_mix", "hold", "equal_weight", "inverse_volatility"]
    assert set(body["figures"]) == set(names)
    found = client.get(first.headers["location"]).json()
    assert found == body | {"cached": True}


def test_one_question_in_other_words_is_one_run(client: TestClient) -> None:
    said = ask(client).json()
    again = ask(client, seed=0, start=said["start"], end=said["end"], policies=["onoff"], latency_bars=1).json()
    assert (again["id"], again["cached"]) == (said["id"], True)


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"limits": {"dead_zone": 0.1}}, {"slippage_bps": 30}, {"latency_bars": 24}, {"end": "2025-05-01"}],
)
def test_another_question_is_another_run(client: TestClient, changes: dict[str, Any]) -> None:
    assert ask(client, **changes).json()["id"] != ask(client).json()["id"]


def test_corrected_data_make_another_run(client: TestClient, writer: Engine) -> None:
    before = ask(client).json()
    with writer.begin() as connection:
        connection.execute(text("update features.bar_returns set close = close * 1.01 where ts = '2025-01-01+00'"))
    after = ask(client).json()
    assert before["input_hash"] == after["input_hash"]
    assert before["data_hash"] != after["data_hash"]
    assert before["id"] != after["id"]


def test_curve_and_trades_come_where_they_are_asked_for(client: TestClient) -> None:
    url = ask(client).headers["location"]
    plain, both = client.get(url).json(), client.get(url, params={"include": "curve,trades"}).json()
    assert (plain["curve"], plain["trades"]) == (None, None)
    days = len(both["curve"]["days"])
    assert days == both["summary"]["span"]["days"]
    assert {len(course) for course in both["curve"]["equity"].values()} == {days + 1}
    assert both["trades"]["hold"] == []
    assert both["trades"]["onoff"][0]["decided_at"] < both["trades"]["onoff"][0]["filled_at"]
    assert client.get(url, params={"include": "ticks"}).status_code == 422


def test_a_large_run_waits_for_the_job(slow_client: TestClient, writer: Engine) -> None:
    first, second = ask(slow_client), ask(slow_client)
    assert (first.status_code, second.status_code) == (202, 202)
    body = first.json()
    assert (body["status"], body["summary"], body["figures"]) == ("queued", None, {})
    assert (second.json()["id"], second.json()["cached"]) == (body["id"], True)
    assert first.headers["retry-after"] == "5"
    assert slow_client.get(body["status_url"]).json()["status"] == "queued"
    with writer.connect() as connection:
        assert connection.execute(text("select count(*) from risk.run_events")).scalar_one() == 1


def test_a_failed_run_may_be_asked_again(slow_client: TestClient, writer: Engine) -> None:
    name = ask(slow_client).json()["id"]
    with writer.begin() as connection:
        connection.execute(
            text("insert into risk.run_events (run, status, detail, said_by) values (:id, 'failed', 'why', 'dagster')"),
            {"id": name},
        )
    assert slow_client.get(f"/v1/backtests/{name}").json()["detail"] == "why"
    again = ask(slow_client)
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (202, name, "queued")


def test_while_one_is_computed_the_next_waits_in_the_queue(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.runs._WAIT_S", 0.0)
    desk: Desk = client.app.state.desk  # type: ignore[attr-defined]
    with desk._computing:
        assert ask(client).status_code == 202


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"vault": "mixed"}, "vault", "no such field; there are vault_id"),
    ({"limits": {"dead": 1}}, "limits.dead", "no such field; there are enter_score"),
    ({"vault_id": "other"}, "vault_id", "there is: mixed"),
    ({"vault_id": 7}, "vault_id", "must be text like mixed, not 7"),
    ({"policies": ["best"]}, "policies.0", "must be one of onoff, voltarget"),
    ({"policies": ["onoff", "onoff"]}, "policies", "leave the second out"),
    ({"policies": ["voltarget"]}, "limits.target_sigma_ann", "0.5 for 50 % a year"),
    ({"latency_bars": 0}, "latency_bars", "from 1 to 48, not 0"),
    ({"latency_bars": 1.5}, "latency_bars", "a whole number"),
    ({"latency_bars": True}, "latency_bars", "not true"),
    ({"placebo_shifts": 301}, "placebo_shifts", "from 0 to 300"),
    ({"bootstrap_repetitions": 10**400}, "bootstrap_repetitions", "not a number of that size"),
    ({"slippage_bps": "5"}, "slippage_bps", "must be a number"),
    ({"start": "2024-02-30"}, "start", "must be a day like 2024-01-31"),
    ({"start": "2024-06-01", "end": "2024-05-01"}, "start", "must not lie after `end`"),
    ({"limits": {"leave_score": 90}}, "limits.leave_score", "below enter_score, which is 80"),
    ({"limits": {"dead_zone": 0.6}}, "limits.dead_zone", "below max_step, which is 0.50"),
    ({"scores": "mine"}, "scores", "one of walk_forward, issued"),
    ({"benchmarks": "hold"}, "benchmarks", "must be a list of hold"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "told"), REFUSED)
def test_a_refusal_names_the_field_and_the_way_out(
    client: TestClient, changes: dict[str, Any], field: str, told: str
) -> None:
    answer = ask(client, **changes)
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (422, "invalid_parameter", field)
    assert told in body["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("request_", "status", "code", "told"),
    [
        ({"params": {"vault_id": "mixed"}, "json": SMALL}, 400, "query_not_allowed", "vault_id: query parameters"),
        ({"content": "{", "headers": {"content-type": "application/json"}}, 400, "body_not_json", "one JSON object"),
        ({"content": b"\xff", "headers": {"content-type": "application/json"}}, 400, "body_not_json", "in UTF-8"),
        ({"content": '{"seed": NaN}', "headers": {"content-type": "application/json"}}, 400, "body_not_json", "NaN"),
        ({"content": '{"seed": 1, "seed": 2}', "headers": {"content-type": "application/json"}}, 400, "body_not_json",
         "given twice"),
        ({"content": "[" * 9000, "headers": {"content-type": "application/json"}}, 400, "body_not_json", "one JSON"),
        ({"content": " " * 20_000, "headers": {"content-type": "application/json"}}, 413, "body_not_json", "16384"),
        ({"data": {"vault_id": "mixed"}}, 415, "body_not_json", "application/json"),
        ({"json": [1]}, 422, "invalid_parameter", "body: must be an object with fields"),
        ({"json": {}}, 422, "invalid_parameter", "vault_id: is missing"),
    ],
)  # fmt: skip
def test_only_a_strict_json_body_is_read(
    client: TestClient, request_: dict[str, Any], status: int, code: str, told: str
) -> None:
    answer = client.post(RUN, **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"start": "2024-01-05"}, "start"),  # before the lookback and the first forecast
        ({"start": "2025-01-01"}, "start"),  # too few days are left
        ({"start": "2024-04-01", "end": "2024-06-01"}, "end"),
    ],
)
def test_who_follows_the_hint_of_a_shortage_gets_an_answer(
    client: TestClient, changes: dict[str, str], field: str
) -> None:
    short = ask(client, **changes)
    body = short.json()
    assert (short.status_code, body["code"], body["field"]) == (422, "insufficient_data", field)
    assert (body["required"], body["lookback"]) == (250, 31)
    assert body["suggested_start"] in body["detail"]
    end = body["suggested_end"] or changes.get("end")
    followed = ask(client, start=body["suggested_start"], **({"end": end} if end else {}))
    assert followed.status_code == 200, followed.json()
    assert followed.json()["summary"]["span"]["days"] >= 250


def test_a_vault_without_scores_says_what_is_missing(client: TestClient) -> None:
    body = ask(client, scores="issued").json()
    assert body["code"] == "insufficient_data"
    assert "no scores yet" in body["detail"]
    assert (body["suggested_start"], body["sufficient_on"]) == (None, None)


def test_runs_are_listed_newest_first_page_by_page(client: TestClient, slow_client: TestClient) -> None:
    ids = [ask(slow_client, seed=seed).json()["id"] for seed in range(3)]
    first = client.get("/v1/backtests", params={"limit": 2}).json()
    second = client.get("/v1/backtests", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [run["id"] for run in first["runs"] + second["runs"]] == ids[::-1]
    assert second["next_cursor"] is None
    for chosen, count in (("mixed", 3), ("other", 0)):
        assert len(client.get("/v1/backtests", params={"vault_id": chosen}).json()["runs"]) == count
    for status, count in (("queued", 3), ("done", 0)):
        assert len(client.get("/v1/backtests", params={"status": status}).json()["runs"]) == count


@pytest.mark.parametrize("cursor", ["x", "bm93fDE=", "MjAyNi0wMS0wMVQwMDowMDowMHxh", "é"])
def test_a_cursor_of_somebody_else_is_refused(client: TestClient, cursor: str) -> None:
    answer = client.get("/v1/backtests", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["field"]) == (422, "cursor")


def test_runs_side_by_side(client: TestClient) -> None:
    one, other = ask(client).json(), ask(client, slippage_bps=30, limits={"dead_zone": 0.1}).json()
    found = client.get("/v1/backtests/compare", params={"ids": f"{one['id']},{other['id']}"}).json()
    assert found["same_days"] is True
    assert found["differing"] == [
        {"path": "vault.limits.dead_zone", "values": ["0.02", "0.1"]},
        {"path": "slippage_bps", "values": [5.0, 30.0]},
    ]
    assert [run["figures"] for run in found["runs"]] == [one["figures"], other["figures"]]


@pytest.mark.parametrize(
    ("ids", "status"), [("", 422), ("a", 422), ("a,a", 422), ("a,b,c,d,e,f,g", 422), ("a,b", 404), ("a,b\0", 404)]
)
def test_comparing_what_is_not_there(client: TestClient, ids: str, status: int) -> None:
    answer = client.get("/v1/backtests/compare", params={"ids": ids})
    assert (answer.status_code, answer.json()["field"]) == (status, "ids")


def test_an_unknown_run(client: TestClient) -> None:
    assert client.get(f"/v1/backtests/backtest-{'0' * 16}").json()["code"] == "unknown_run"
    assert client.get("/v1/backtests/1%00").status_code == 422


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("insert into risk.run_events (run, status, said_by) select id, 'queued', 'api' from risk.runs", True),
        ("delete from risk.runs", False),
        ("update risk.runs set seed = 1", False),
        ("insert into ops.job_runs select * from ops.job_runs", False),
        ("select count(*) from risk.scores", False),
        ("select count(*) from raw.candles", False),
    ],
)
def test_who_may_ask_for_runs_may_nothing_else(writer: Engine, statement: str, allowed: bool) -> None:
    with writer.connect() as connection:
        connection.execute(text("set role ballast_requester"))
        if allowed:
            connection.execute(text(statement))
            return
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))


def test_the_reader_may_not_ask_for_runs(writer: Engine) -> None:
    with writer.connect() as connection:
        connection.execute(text("set role ballast_reader"))
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text("insert into risk.run_events (run, status, said_by) values ('a', 'done', 'api')"))
