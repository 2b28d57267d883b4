"""The newest stress test of a vault over HTTP: from the tables alone, with its age; never one that was not made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from tests.serving.conftest import set_clock
from tests.stored_market import END, SMALL_SIMULATION, write_market

PATH = "/v1/risk/stress/latest"
DAY = timedelta(days=1)


def add_test(client: TestClient, writer: Engine, seed: int, as_of_days: int = 0, vault: str = "mixed") -> Any:
    """A run of the registry that is written down as the day's test, as the pipeline does."""
    run = client.post("/v1/risk/simulate", json={**SMALL_SIMULATION, "seed": seed, "shocks": {"gap": {}}}).json()
    as_of = END + as_of_days * DAY
    with writer.begin() as connection:
        connection.execute(
            text(
                "insert into risk.stress (vault_id, as_of, issued_at, valid_until, run, data_mode) "
                "values (:vault, :as_of, :as_of, :until, :run, 'simulated')"
            ),
            {"vault": vault, "as_of": as_of, "until": as_of + DAY + timedelta(hours=2), "run": run["id"]},
        )
    return run


@pytest.fixture
def market(client: TestClient, writer: Engine) -> TestClient:
    write_market(writer)
    return client


@pytest.mark.parametrize(("asked", "field"), [({}, None), ({"vault_id": "mixed"}, "vault_id")])
def test_without_a_test_there_is_none(market: TestClient, asked: dict[str, str], field: str | None) -> None:
    market.post("/v1/risk/simulate", json=SMALL_SIMULATION)  # a simulation that somebody asked for is no daily test
    answer = market.get(PATH, params=asked)
    body = answer.json()
    assert (answer.status_code, body["code"], body.get("field")) == (404, "no_stress_test", field)
    assert "risk/stress" in body["detail"]


@pytest.mark.parametrize("path", [PATH, PATH.removeprefix("/v1")])
def test_the_newest_of_each_vault(market: TestClient, writer: Engine, path: str) -> None:
    add_test(market, writer, 1, -1)
    run = add_test(market, writer, 2)
    add_test(market, writer, 3, -1, "other")
    set_clock(writer, END + timedelta(hours=1))
    found = market.get(path).json()["stress"]
    assert [(each["vault_id"], each["seed"]) for each in found] == [("mixed", 2), ("other", 3)]
    own = found[0]
    assert (own["run"], own["age_s"], own["stale"]) == (run["id"], 3_600, False)
    assert (own["paths"], own["days"], own["step"], own["shocks"]) == (200, 10, "day", ["gap"])
    strategies = {each["name"]: each["figures"] for each in run["summary"]["strategies"]}
    assert own["without_keeper"] == strategies["hold"]
    assert own["with_keeper"] == strategies["policy"]
    assert own["constant_mix"] == strategies["mix"]
    assert own["keeper_less_none"] == run["summary"]["policy_less"]["hold"]
    assert market.get(own["status_url"]).json()["id"] == run["id"]
    assert market.get(path, params={"vault_id": "other"}).json()["stress"] == found[1:]


def test_one_that_is_overdue_is_shown_as_what_it_is(market: TestClient, writer: Engine) -> None:
    add_test(market, writer, 1)
    for hours, stale in ((26, False), (27, True)):
        set_clock(writer, END + timedelta(hours=hours))
        (own,) = market.get(PATH, params={"vault_id": "mixed"}).json()["stress"]
        assert (own["stale"], own["age_s"]) == (stale, hours * 3_600)


@pytest.mark.parametrize("name", ["A", "mixed'", "a" * 40])
def test_what_cannot_be_a_vault_is_refused(market: TestClient, name: str) -> None:
    assert market.get(PATH, params={"vault_id": name}).json()["field"] == "vault_id"


def test_history_is_not_rewritten(market: TestClient, writer: Engine) -> None:
    add_test(market, writer, 1)
    for statement in ("update risk.stress set vault_id = 'other'", "delete from risk.stress"):
        with pytest.raises(Exception, match="append-only"), writer.begin() as connection:
            connection.execute(text(statement))
