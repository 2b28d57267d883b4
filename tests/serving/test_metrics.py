"""What Prometheus reads of the API: names of the catalogue, templates for paths, few labels, few queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from models.contracts.metrics import API_METRICS, MetricKind
from serving.app import create_app
from serving.metrics import StateCollector
from serving.settings import ServingSettings
from tests.serving.conftest import NOW, add_score, set_clock

CLOSED = ServingSettings("postgresql+psycopg2://nobody@127.0.0.1:1/none")


def scraped(client: TestClient) -> dict[str, Any]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {found.name: found for found in text_string_to_metric_families(answer.text)}


def values(found: dict[str, Any], name: str) -> dict[tuple[str, ...], float]:
    (order,) = [metric.labels for metric in API_METRICS if metric.name.removesuffix("_total") == name]
    return {tuple(s.labels[label] for label in order): s.value for s in found[name].samples}


def test_scores_are_told_by_series(client: TestClient, writer: Engine) -> None:
    set_clock(writer, NOW.replace(hour=1))
    add_score(writer)
    add_score(writer, subject="vault:mixed", subject_kind="vault", valid_until=NOW.replace(minute=30), degraded=True)
    found = scraped(client)
    assert values(found, "ballast_score_age_seconds") == {("BTC", "1"): 3600, ("vault:mixed", "1"): 3600}
    assert values(found, "ballast_score_valid_seconds") == {("BTC", "1"): 3600, ("vault:mixed", "1"): -1800}
    assert values(found, "ballast_score_degraded") == {("BTC", "1"): 0, ("vault:mixed", "1"): 1}
    assert values(found, "ballast_market_info") == {("simulated", "simulated"): 1}
    assert values(found, "ballast_runs_open") == {("queued",): 0, ("running",): 0}
    assert values(found, "ballast_database_up") == {(): 1}
    assert values(found, "ballast_database_connections_limit") == {("reader",): 5, ("requester",): 1}


def test_the_catalogue_is_what_is_exposed(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    add_score(writer)
    client.get("/live")
    found = {name: family for name, family in scraped(client).items() if name.startswith("ballast_")}
    kinds = {m.name.removesuffix("_total") if m.kind is MetricKind.COUNTER else m.name: m for m in API_METRICS}
    assert found.keys() == kinds.keys()
    for name, family in found.items():
        assert family.type == kinds[name].kind
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels == set(kinds[name].labels), name


def test_a_database_that_is_away_is_a_value_and_no_failure() -> None:
    with TestClient(create_app(CLOSED)) as client:
        found = scraped(client)
    assert values(found, "ballast_database_up") == {(): 0}
    assert "ballast_score_age_seconds" not in found


def test_requests_are_counted_by_template() -> None:
    with TestClient(create_app(CLOSED), raise_server_exceptions=False) as client:
        client.get("/live")
        client.head("/live")
        client.get("/v1/backtests/one")
        client.get("/v1/backtests/other?x=1")
        for number in range(30):
            client.get(f"/wp-admin/{number}")
        client.request("BREW", "/live")
        found = scraped(client)
    counts = values(found, "ballast_http_requests")
    assert counts == {
        ("GET", "/live", "200"): 1,
        ("HEAD", "/live", "200"): 1,
        ("GET", "/v1/backtests/{id}", "422"): 2,
        ("GET", "unmatched", "404"): 30,
        ("other", "/live", "405"): 1,
    }
    assert found["ballast_http_requests_in_progress"].samples[0].value == 1  # the scrape itself
    timed = {s.labels["route"] for s in found["ballast_http_request_duration_seconds"].samples if "le" in s.labels}
    assert timed == {"/live", "unmatched", "/v1/backtests/{id}"}


def test_scrapes_that_come_together_ask_once() -> None:
    class Counting:
        asked = 0

        def pools(self) -> dict[str, Any]:
            return {}

        def market(self) -> None:
            self.asked += 1

        def current(self, subject: str | None, horizon_days: int | None) -> list[Any]:
            return []

        @property
        def runs(self) -> Any:
            return type("Runs", (), {"open": staticmethod(lambda most: [])})

    store, now = Counting(), [0.0]
    collector = StateCollector(store, clock=lambda: now[0])  # type: ignore[arg-type]
    asked = []
    for moment in (0.0, 4.9, 5.0, 9.9, 10.0):
        now[0] = moment
        list(collector.collect())
        asked.append(store.asked)
    assert asked == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("metric", API_METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Any) -> None:
    assert re.fullmatch(r"ballast_[a-z][a-z_]*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert not {"job", "instance", "le"} & set(metric.labels)
