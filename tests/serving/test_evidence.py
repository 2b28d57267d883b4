"""What a score is to be believed by, over HTTP: its record, the premium of the street, gaps."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from tests.serving.conftest import NOW, set_clock
from tests.serving.page.looked_at import (
    AS_OF,
    GAPS,
    PREMIUM_TABLE,
    RECORD_DAYS,
    SERIES,
    outcomes,
    write_premium,
    write_record,
)

RECORD = "/v1/risk/record"
CATALOGUE = (
    "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, quote, source, "
    "scored, data_mode) values ('BTC', 'candles', '1h', 'candles', 'always', 3600, 7200, 'BTC', 'USDT', 's', true, "
    "'simulated')"
)
SHORT = (
    "insert into ml.walk_forward (evaluation_id, model, series, horizon_days, origin, issued_at, rv_forecast, p_spike) "
    "values ('e', 'champion', 'vault:mixed', 1, '2025-12-30', '2025-12-31', 4e-4, 0.1)"
)


def execute(engine: Engine, *statements: str, **parameters: Any) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), parameters)


def get(client: TestClient, path: str, **asked: Any) -> Any:
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def market(client: TestClient, writer: Engine) -> TestClient:
    set_clock(writer, AS_OF)
    execute(writer, CATALOGUE)
    return client


@pytest.mark.parametrize("path", [RECORD, "/risk/record"])
def test_record_tells_forecasts_and_what_followed(market: TestClient, writer: Engine, path: str) -> None:
    write_record(writer)
    found = get(market, path, subject="BTC", days=10)
    realised, probability = outcomes()
    assert (found["horizon_days"], found["evaluation_id"], found["reason"]) == (1, "seen-1", None)
    # A window of 365 known outcomes is full first at row 365; the last of the 700 is open.
    assert found["rows"] == RECORD_DAYS - 365 - 1
    assert len(found["days"]) == 10
    newest, before = found["days"][:2]
    assert (newest["realised_day"], newest["spike"]) == (None, None)
    assert before["realised_day"] == pytest.approx(math.sqrt(realised[-2]))
    assert [day["p_spike"] for day in found["days"]] == list(probability[:-11:-1])
    assert sum(one["rows"] for one in found["bins"]) == found["rows"]
    assert found["spikes"] == round(sum(one["rows"] * one["seen"] for one in found["bins"]))


def test_the_newest_evaluation_speaks(market: TestClient, writer: Engine) -> None:
    write_record(writer)
    execute(writer, SHORT.replace("vault:mixed", "BTC").replace("'e'", "'later'"))
    found = get(market, RECORD, subject="BTC")
    assert (found["evaluation_id"], len(found["days"])) == ("later", 1)


def test_too_few_outcomes_make_no_figure(market: TestClient, writer: Engine) -> None:
    execute(writer, SHORT)
    found = get(market, RECORD, subject="vault:mixed")
    assert (found["ece"], found["brier_skill"], found["bins"], found["rows"]) == (None, None, [], 0)
    assert "need 100" in found["reason"]


def test_premium_of_each_street_series_with_the_state_of_its_source(market: TestClient, writer: Engine) -> None:
    write_premium(writer)
    set_clock(writer, AS_OF + timedelta(hours=25))
    delisted, street = get(market, "/v1/market/premium")["premiums"]
    assert (street["series"], street["street_rate"], street["official_rate"]) == ("USDTNGN:street", 1575.0, 1500.0)
    assert street["premium"] == pytest.approx(math.log(1.05))
    assert (street["source_state"], street["capped"], street["stale"], street["age_s"]) == ("free", False, True, 90_000)
    assert (delisted["series"], delisted["source_state"]) == ("USDTNGN:p2p_desk", "delisted")


def test_premium_by_day_keeps_what_is_missing_missing(market: TestClient, writer: Engine) -> None:
    write_premium(writer)
    days = get(market, "/v1/market/premium/history", series="USDTNGN:street", days=50)["days"]
    assert len(days) == 51, "a span of 50 days begins and ends within a day"
    assert [day["day"] for day in days] == sorted((day["day"] for day in days), reverse=True)
    assert (days[10]["premium"], days[10]["street_rate"]) == (None, None)
    assert [n for n, day in enumerate(days) if day["capped"]] == list(range(31, 41))


def test_the_last_print_of_a_day_that_is_believed_speaks_for_it(market: TestClient, writer: Engine) -> None:
    row = (
        "insert into features.premium (series, ts, is_observed, street_rate, premium, is_capped, is_official_stale, "
        "source_regime) values ('USDTNGN:street', :at, :seen, :rate, 0.1, false, false, 'free')"
    )
    write_premium(writer)
    late = AS_OF.replace(hour=20)
    execute(writer, row, at=late, seen=True, rate=1600.0)
    execute(writer, row, at=late.replace(hour=22), seen=False, rate=None)
    newest = get(market, "/v1/market/premium/history", series="USDTNGN:street")["days"][0]
    assert (newest["day"], newest["street_rate"]) == ("2026-01-02", 1600.0)


@pytest.mark.parametrize(
    ("asked", "series", "total"),
    [({}, ["BTC", "ETH"], 2), ({"status": "open"}, ["BTC"], 1), ({"series": "ETH"}, ["ETH"], 1),
     ({"limit": 1}, ["BTC"], 2), ({"status": "fixed"}, [], 0)],
)  # fmt: skip
def test_gaps_newest_first(
    market: TestClient, writer: Engine, asked: dict[str, Any], series: list[str], total: int
) -> None:
    execute(writer, GAPS, at=NOW)
    found = get(market, "/v1/market/gaps", **asked)
    assert ([gap["series"] for gap in found["gaps"]], found["total"]) == (series, total)


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        (f"{RECORD}", 422, "invalid_parameter", "subject"),
        (f"{RECORD}?subject=DOGE", 404, "unknown_subject", "subject"),
        (f"{RECORD}?subject=BTC&horizon_days=9", 404, "unknown_subject", "horizon_days"),
        (f"{RECORD}?subject=BTC&days=2001", 422, "invalid_parameter", "days"),
        (f"{RECORD}?subject=BTC&horizon=1", 422, "invalid_parameter", "horizon"),
        (f"{RECORD}?subject=vault:none", 404, "unknown_subject", "subject"),
        ("/v1/market/premium?x=1", 422, "invalid_parameter", "x"),
        ("/v1/market/premium/history?series=BTC", 404, "unknown_series", "series"),
        ("/v1/market/premium/history?series=USDTNGN:street&days=0", 422, "invalid_parameter", "days"),
        ("/v1/market/gaps?status=closed", 422, "invalid_parameter", "status"),
        ("/v1/market/gaps?limit=501", 422, "invalid_parameter", "limit"),
    ],
)
def test_wrong_requests_name_the_field(
    market: TestClient, writer: Engine, path: str, status: int, code: str, field: str
) -> None:
    execute(writer, SHORT.replace("vault:mixed", "BTC"), SERIES)
    answer = market.get(path)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, code, field)


def test_without_features_the_answer_says_what_to_do(market: TestClient) -> None:
    answer = market.get("/v1/market/premium")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "run the pipeline" in answer.json()["detail"]


def test_without_street_series_there_are_no_premiums(market: TestClient, writer: Engine) -> None:
    execute(writer, *PREMIUM_TABLE)
    assert get(market, "/v1/market/premium")["premiums"] == []
