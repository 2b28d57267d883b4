"""Scores over HTTP: what is fresh, what has expired, what is refused, page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from serving.app import create_app
from serving.settings import ServingSettings
from tests.serving.conftest import NOW, add_score, set_clock

PATHS = ["/v1/risk/current", "/risk/current"]


@pytest.mark.parametrize("path", PATHS)
def test_fresh_score_is_served_with_its_parts(client: TestClient, writer: Engine, path: str) -> None:
    set_clock(writer, NOW + timedelta(minutes=30))
    add_score(writer)
    answer = client.get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert body["market"] == {"name": "simulated", "data_mode": "simulated", "time": "2026-01-01T00:30:00Z"}
    assert body["expired"] == []
    (score,) = body["scores"]
    assert score["subject"] == "BTC"
    assert (score["score"], score["p_spike"], score["stale"], score["age_s"]) == (61.5, 0.15, False, 1800)
    assert score["drivers"] == [{"name": "rv_w", "value": -7.5, "contribution": 0.25}]
    assert score["data_mode"] == "simulated"


def test_an_answer_of_the_last_moment_is_given_again_until_there_is_news(serving_url: str, writer: Engine) -> None:
    set_clock(writer)
    add_score(writer)
    with TestClient(create_app(ServingSettings(serving_url, answer_kept_s=600))) as client:
        first = client.get("/v1/risk/current")
        add_score(writer, as_of=NOW + timedelta(minutes=5), issued_at=NOW + timedelta(minutes=5), score=70.0)
        assert client.get("/v1/risk/current").content == first.content
        assert client.get("/v1/risk/current", params={"subject": "BTC"}).json()["scores"][0]["score"] == 70.0
        client.app.state.recent.forget()  # type: ignore[attr-defined]
        assert client.get("/v1/risk/current").json()["scores"][0]["score"] == 70.0


@pytest.mark.parametrize(("late_s", "status"), [(0, 200), (1, 503)])
def test_score_expires_one_second_after_its_validity(
    client: TestClient, writer: Engine, late_s: int, status: int
) -> None:
    set_clock(writer, NOW.replace(hour=2) + timedelta(seconds=late_s))
    add_score(writer)
    answer = client.get("/v1/risk/current", params={"subject": "BTC"})
    assert answer.status_code == status
    if status == 503:
        body = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["code"] == "score_expired"
        assert answer.headers["retry-after"] == "60"
        assert [(s["subject"], s["score"], s["stale"]) for s in body["last_known"]] == [("BTC", 61.5, True)]


def test_expired_scores_never_stand_among_fresh_ones(client: TestClient, writer: Engine) -> None:
    set_clock(writer, NOW + timedelta(hours=1))
    add_score(writer)
    add_score(writer, subject="ETH", valid_until=NOW)
    body = client.get("/v1/risk/current").json()
    assert [s["subject"] for s in body["scores"]] == ["BTC"]
    assert [(s["subject"], s["stale"]) for s in body["expired"]] == [("ETH", True)]


def test_each_subject_and_horizon_answers_with_its_newest_score(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    for subject, horizon_days in [("ETH", 7), ("BTC", 7), ("BTC", 1), ("A", 5)]:
        for n in range(3):  # the last two are issued at one moment: the later row counts
            issued_at = NOW - timedelta(hours=3 - max(1, n))
            add_score(writer, subject=subject, horizon_days=horizon_days, issued_at=issued_at,
                      as_of=NOW - timedelta(minutes=n), score=10.0 * n)  # fmt: skip
    found = client.get("/v1/risk/current").json()["scores"]
    assert [(s["subject"], s["horizon_days"], s["score"]) for s in found] == [
        ("A", 5, 20.0), ("BTC", 1, 20.0), ("BTC", 7, 20.0), ("ETH", 7, 20.0),
    ]  # fmt: skip


def test_current_scores_do_not_cost_more_with_history(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    add_score(writer)
    with writer.begin() as connection:
        columns = [
            row.attname
            for row in connection.execute(
                text(
                    "select attname from pg_attribute where attrelid = 'risk.scores'::regclass and attnum > 0 "
                    "and attname not in ('id', 'issued_at', 'as_of')"
                )
            )
        ]
        names = ", ".join(columns)
        connection.execute(
            text(
                f"insert into risk.scores ({names}, issued_at, as_of) select {names}, at, at from risk.scores, "
                "generate_series(timestamptz '2023-01-01', timestamptz '2025-12-31', interval '1 hour') as at"
            )
        )
        connection.execute(text("analyze risk.scores"))
        plan = connection.execute(text("explain (analyze, format json) select * from serving.risk_current")).scalar()
    assert plan[0]["Plan"]["Actual Rows"] == 1

    def most_rows(node: dict[str, Any]) -> float:
        inside = [most_rows(part) for part in node.get("Plans", [])]
        return max([node["Actual Rows"] * node["Actual Loops"], *inside])

    assert most_rows(plan[0]["Plan"]) < 100, "26,000 scores are stored, one is asked for"


def test_subject_without_a_number_says_why(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    missing = dict.fromkeys(
        ("score", "p_spike", "rv_forecast", "sigma_ann", "var99", "es99", "rv_low", "rv_high", "confidence")
    )
    add_score(writer, status="quarantined", reasons=["newest print is held"], drivers="[]", **missing)
    (score,) = client.get("/v1/risk/current").json()["scores"]
    assert (score["score"], score["status"], score["reasons"]) == (None, "quarantined", ["newest print is held"])


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("/v1/risk/current?subject=DOGE", 404, "unknown_subject", "subject"),
        ("/v1/risk/current?subject=BTC&horizon_days=9", 404, "unknown_subject", "horizon_days"),
        ("/v1/risk/current?horizon_days=9", 404, "unknown_subject", "horizon_days"),
        ("/v1/risk/current?horizon_days=0", 422, "invalid_parameter", "horizon_days"),
        ("/v1/risk/current?horizon_days=x", 422, "invalid_parameter", "horizon_days"),
        ("/v1/risk/history", 422, "invalid_parameter", "subject"),
        ("/v1/risk/history?subject=DOGE", 404, "unknown_subject", "subject"),
        ("/v1/risk/history?subject=BTC&horizon_days=9", 404, "unknown_subject", "horizon_days"),
        ("/v1/risk/history?subject=BTC&from=2026-01-01", 422, "invalid_parameter", "from"),
        ("/v1/risk/history?subject=BTC&from=2026-01-02T00:00Z&to=2026-01-01T00:00Z", 422, "invalid_parameter", "from"),
        ("/v1/risk/history?subject=BTC&from=2026", 422, "invalid_parameter", "from"),
        ("/v1/risk/history?subject=BTC&to=-1.5", 422, "invalid_parameter", "to"),
        ("/v1/risk/history?subject=BTC&limit=1001", 422, "invalid_parameter", "limit"),
        ("/v1/risk/history?subject=BTC&cursor=zzz", 422, "invalid_parameter", "cursor"),
        ("/v1/risk/history?subject=BTC%00", 422, "invalid_parameter", "subject"),
        ("/v1/nothing", 404, "not_found", None),
        ("/v1/risk/current/", 404, "not_found", None),
        ("/v1/risk/current%2F", 404, "not_found", None),
    ],
)
def test_wrong_requests_name_the_field(
    client: TestClient, writer: Engine, path: str, status: int, code: str, field: str | None
) -> None:
    set_clock(writer)
    add_score(writer)
    answer = client.get(path, headers={"X-Request-Id": "abc-1"})
    body = answer.json()
    assert (answer.status_code, body["code"], body.get("field")) == (status, code, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == body["request_id"] == "abc-1"
    assert body["status"] == status


@pytest.mark.parametrize("path", ["/v1/risk/history", "/risk/history"])
def test_history_pages_newest_first_without_loss(client: TestClient, writer: Engine, path: str) -> None:
    set_clock(writer)
    for hour in range(7):
        add_score(writer, as_of=NOW + timedelta(hours=hour), issued_at=NOW + timedelta(hours=hour // 2))
    seen, cursor = [], None
    for _ in range(4):
        page = client.get(path, params={"subject": "BTC", "limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [score["as_of"] for score in page["scores"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == [f"2026-01-01T{hour:02}:00:00Z" for hour in range(6, -1, -1)]


def test_history_range_is_half_open(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    for hour in range(3):
        add_score(writer, as_of=NOW + timedelta(hours=hour), issued_at=NOW + timedelta(hours=hour))
    window = {"subject": "BTC", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T02:00:00Z"}
    scores = client.get("/v1/risk/history", params=window).json()["scores"]
    assert [score["issued_at"] for score in scores] == ["2026-01-01T01:00:00Z", "2026-01-01T00:00:00Z"]


def test_scores_that_arrive_while_paging_are_neither_seen_nor_in_the_way(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    for hour in range(6):
        add_score(writer, as_of=NOW + timedelta(hours=hour), issued_at=NOW + timedelta(hours=hour // 3))
    seen, cursor = [], None
    for turn in range(3):
        page = client.get("/v1/risk/history", params={"subject": "BTC", "limit": 2, "cursor": cursor or ""}).json()
        seen += [score["as_of"] for score in page["scores"]]
        cursor = page["next_cursor"]
        add_score(writer, as_of=NOW + timedelta(hours=10 + turn), issued_at=NOW + timedelta(hours=1))
    assert cursor is None
    assert seen == [f"2026-01-01T{hour:02}:00:00Z" for hour in range(5, -1, -1)]


@pytest.mark.parametrize("path", ["/", "/live", "/v1/risk/current", "/v1/risk/history?subject=BTC", "/v1/nothing"])
def test_head_answers_as_get_without_the_body(client: TestClient, writer: Engine, path: str) -> None:
    set_clock(writer)
    add_score(writer)
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-length", "cache-control"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    answer = client.request(method, "/v1/risk/current")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "method_not_allowed", "GET")
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_answer_is_kept_by_a_cache(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    add_score(writer)
    assert client.get("/v1/risk/current").headers["cache-control"] == "no-store"


def test_an_error_without_a_name_is_a_problem_too(
    serving_url: str, writer: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    set_clock(writer)
    add_score(writer, data_mode="imagined")  # not a mode that an answer may carry
    with TestClient(create_app(ServingSettings(serving_url)), raise_server_exceptions=False) as client:
        answer = client.get("/v1/risk/current", headers={"X-Request-Id": "abc-2"})
    body = answer.json()
    assert (answer.status_code, body["code"], answer.headers["x-request-id"]) == (500, "internal_error", "abc-2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "imagined" not in answer.text
    assert "abc-2" in caplog.text
