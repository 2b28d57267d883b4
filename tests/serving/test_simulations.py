"""Simulations over HTTP: the same desk as for backtests, so only what is theirs; and the library of scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from models.runs import bounds
from models.stress.scenario_library import SCENARIOS
from models.stress.shock_catalogue import CATALOGUE
from serving.app import create_app
from tests.serving.conftest import without_keys
from tests.stored_market import LAST_DAY, SMALL, SMALL_SIMULATION, write_market

RUN = "/v1/risk/simulate"


@pytest.fixture
def client(serving_url: str) -> Iterator[TestClient]:
    write_market(create_engine(serving_url, poolclass=NullPool))
    with TestClient(create_app(without_keys(serving_url))) as made:
        yield made


def ask(client: TestClient, **changes: Any) -> httpx2.Response:
    return client.post(RUN, json={**SMALL_SIMULATION, **changes})


def test_a_small_run_is_answered_at_once_and_found_again(client: TestClient) -> None:
    first, second = ask(client), ask(client)
    body = first.json()
    assert (first.status_code, second.status_code) == (200, 200), body
    assert (body["kind"], body["status"], body["cached"], body["seed"]) == ("simulation", "done", False, 0)
    assert second.json() == body | {"cached": True}
    assert (body["inputs"]["step"], body["inputs"]["paths"], body["end"]) == ("day", 200, LAST_DAY.isoformat())
    assert set(body["figures"]) == {"hold", "policy", "mix"}
    assert set(body["figures"]["hold"]) == {"mean_return", "var_99", "es_99", "max_drawdown_95", "ruin_probability"}
    hold = next(each for each in body["summary"]["strategies"] if each["name"] == "hold")["figures"]["max_drawdown_95"]
    assert body["figures"]["hold"]["max_drawdown_95"] == hold["value"]
    assert "its error needs 400 paths" in hold["reason"]
    assert body["summary"]["generator_check"]["total"] == 16
    assert first.headers["location"] == f"/v1/risk/simulations/{body['id']}"
    assert client.get(first.headers["location"]).json() == body | {"cached": True}


def test_bands_and_drawdowns_come_where_they_are_asked_for(client: TestClient) -> None:
    url = ask(client).headers["location"]
    curve = client.get(url, params={"include": "curve"}).json()["curve"]
    assert curve["days"] == list(range(11))
    assert {len(row) for row in curve["bands"]["policy"]["pointwise"]} == {11}
    assert sum(curve["drawdown_counts"]["hold"]) == 200
    assert len(curve["drawdown_edges"]) == len(curve["drawdown_counts"]["hold"]) + 1


def test_another_seed_is_another_run_and_both_stand_side_by_side(client: TestClient) -> None:
    one, other = ask(client).json(), ask(client, seed=1, shocks={"gap": {"rate_per_year": 50}}).json()
    found = client.get("/v1/risk/simulations/compare", params={"ids": f"{one['id']},{other['id']}"}).json()
    assert [each["path"] for each in found["differing"]] == ["seed", "shocks.gap"]
    assert [run["id"] for run in client.get("/v1/risk/simulations").json()["runs"]] == [other["id"], one["id"]]
    assert other["figures"]["hold"]["es_99"] > one["figures"]["hold"]["es_99"]


def test_a_large_run_waits_for_the_job(client: TestClient) -> None:
    answer = ask(client, paths=1_000_000, days=30)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert client.get(answer.json()["status_url"]).json()["status"] == "queued"
    answer = ask(client, paths=1_000_000, days=365, shocks="usual")
    assert (answer.status_code, answer.json()["field"]) == (422, "paths")


def test_runs_of_one_kind_are_no_runs_of_the_other(client: TestClient) -> None:
    simulation = ask(client).json()["id"]
    backtest = client.post("/v1/backtest/run", json=SMALL).json()["id"]
    assert [run["id"] for run in client.get("/v1/backtests").json()["runs"]] == [backtest]
    assert [run["id"] for run in client.get("/v1/risk/simulations").json()["runs"]] == [simulation]
    assert client.get(f"/v1/backtests/{simulation}").status_code == 422
    mixed = client.get("/v1/risk/simulations/compare", params={"ids": f"{simulation},{backtest}"})
    assert (mixed.status_code, mixed.json()["field"]) == (404, "ids")


def test_query_parameters_are_refused(client: TestClient) -> None:
    answer = client.post(RUN, params={"vault_id": "mixed"}, json=SMALL_SIMULATION)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "query_not_allowed", "vault_id")


def test_who_follows_the_hint_of_a_shortage_gets_an_answer(client: TestClient) -> None:
    short = ask(client, start="2025-01-01")
    body = short.json()
    assert (short.status_code, body["code"], body["field"]) == (422, "insufficient_data", "start")
    assert body["suggested_start"] in body["detail"]
    assert ask(client, start=body["suggested_start"]).status_code == 200


def test_days_that_cannot_be_drawn_from_are_a_refusal_also_when_that_shows_late(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*given: object) -> None:
        raise ValueError("all alike")

    monkeypatch.setattr("models.stress.standard.fitted", refuses)
    answer = ask(client)
    assert (answer.status_code, answer.json()["field"]) == (422, "start")
    assert "cannot be drawn from (all alike)" in answer.json()["detail"]


def test_the_library_of_scenarios(client: TestClient) -> None:
    found = client.get("/v1/risk/scenarios").json()["scenarios"]
    assert [each["name"] for each in found] == list(SCENARIOS)
    assert len(found) >= 12
    assert all(each["figures"] and each["changes"] for each in found)
    assert [each["start"] for each in found] == sorted(each["start"] for each in found)
    assert ask(client, scenario=found[-1]["name"]).status_code == 200


def test_the_most_that_a_small_body_can_ask_is_answered_within_the_bounds(client: TestClient) -> None:
    """Shocks that come every day and last for years, all at once, on as many paths as are answered at once."""
    often = {name: {"rate_per_year": 366} for name in CATALOGUE}
    answer = ask(client, shocks=often)
    assert (answer.status_code, answer.json()["work"] <= bounds.AT_ONCE_SHARED) == (200, True)
