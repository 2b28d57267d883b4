"""Live, ready, health; and what remains of them when the database is empty or away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from serving.app import create_app
from serving.settings import (
    LARGE_VARIABLE,
    SMALL_VARIABLE,
    ServingSettings,
    ServingSettingsError,
    load_serving_settings,
)
from tests.serving.conftest import NOW, set_clock


def _job(engine: Engine, job: str, run: str, ok: bool, hours_ago: float) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.job_runs (job, run_id, ok, error_text, market_time, started_at, finished_at) "
                "values (:job, :run, :ok, :error, :at, :at, :at)"
            ),
            {
                "job": job, "run": run, "ok": ok, "error": None if ok else "fixer: outage",
                "at": NOW - timedelta(hours=hours_ago),
            },
        )  # fmt: skip


def _all_jobs(engine: Engine) -> None:
    for job in ("hourly_refresh", "training", "keeper"):
        _job(engine, job, "a", ok=True, hours_ago=1)


def _freshness(engine: Engine, series: str, age_h: float) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.freshness (dataset, series, interval, newest_ts, newest_available_at, age_s, "
                "max_age_s, stale, stalled_by, checked_at) "
                "values ('candles', :series, '1h', :at, :at, 0, 7200, false, 'binance', :at)"
            ),
            {"series": series, "at": NOW - timedelta(hours=age_h)},
        )


def test_live_needs_no_database(caplog: pytest.LogCaptureFixture) -> None:
    away = ServingSettings("postgresql+psycopg2://nobody@127.0.0.1:1/none", statement_timeout_ms=500)
    with TestClient(create_app(away)) as client:
        assert client.get("/live").json() == {"status": "ok"}
        for path in ("/ready", "/health", "/v1/risk/current"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert "127.0.0.1" not in answer.text
    assert "OperationalError" in caplog.text, "the log says what the client is not told"


def test_ready_says_that_nothing_has_run(client: TestClient) -> None:
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_market")


def test_database_without_views_is_a_problem_with_a_way_out(database_url: str) -> None:
    with TestClient(create_app(ServingSettings(database_url))) as client:
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "run the pipeline" in answer.json()["detail"]


def test_health_is_ok_when_jobs_and_series_are_in_time(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    _all_jobs(writer)
    _freshness(writer, "BTC", age_h=2)
    body = client.get("/health").json()
    assert (body["status"], body["reasons"]) == ("ok", [])
    job = next(job for job in body["jobs"] if job["job"] == "hourly_refresh")
    assert (job["age_s"], job["allowed_age_s"], job["consecutive_failures"], job["ok"]) == (3600, 8100, 0, True)


@pytest.mark.parametrize(
    ("age_h", "stale"),
    [(2, False), (2.001, True)],
)
def test_stopped_series_shows_without_a_new_check(
    client: TestClient, writer: Engine, age_h: float, stale: bool
) -> None:
    set_clock(writer)
    _all_jobs(writer)
    _freshness(writer, "BTC", age_h)
    body = client.get("/health").json()
    assert body["series"][0]["stale"] is stale
    assert body["status"] == ("degraded" if stale else "ok")
    assert body["series"][0]["stalled_by"] == ("binance" if stale else None)


def test_failures_in_a_row_are_counted_since_the_last_success(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    for run, ok, hours_ago in [("a", False, 5), ("b", True, 4), ("c", False, 3), ("d", False, 2)]:
        _job(writer, "hourly_refresh", run, ok, hours_ago)
    body = client.get("/health").json()
    job = next(job for job in body["jobs"] if job["job"] == "hourly_refresh")
    assert (job["consecutive_failures"], job["age_s"], job["last_error"]) == (2, 4 * 3600, "fixer: outage")
    assert job["ok"] is False
    assert "job hourly_refresh: 2 failures in a row, last success 14400 s ago of 8100 s allowed" in body["reasons"]


def test_a_job_that_never_ended_is_late_not_absent(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    _job(writer, "hourly_refresh", "a", ok=True, hours_ago=1)
    body = client.get("/health").json()
    assert [(job["job"], job["ok"], job["age_s"]) for job in body["jobs"]] == [
        ("hourly_refresh", True, 3600), ("keeper", False, None), ("training", False, None),
    ]  # fmt: skip
    assert (body["status"], body["reasons"]) == (
        "degraded", ["job keeper has never ended", "job training has never ended"],
    )  # fmt: skip


def test_reader_cannot_write(serving_url: str) -> None:
    app = create_app(ServingSettings(serving_url))
    with app.state.store._engine.connect() as connection:
        assert connection.execute(text("select current_user")).scalar() == "ballast_reader"
        assert connection.execute(text("select has_table_privilege('risk.scores', 'insert')")).scalar() is False


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"BALLAST_SERVING_DATABASE_URL": "postgresql://h/db"}, "postgresql+psycopg2://h/db"),
        ({"BALLAST_SERVING_DATABASE_URL": "postgres://h/db"}, "postgresql+psycopg2://h/db"),
        (
            {"BALLAST_SERVING_DATABASE_URL": "postgresql+psycopg2:///db?host=/tmp/x"},
            "postgresql+psycopg2:///db?host=/tmp/x",
        ),
    ],
)
def test_settings_name_one_driver(env: dict[str, str], expected: str) -> None:
    assert load_serving_settings(env).database_url == expected


def test_settings_do_not_show_the_password() -> None:
    assert "secret" not in repr(ServingSettings("postgresql+psycopg2://u:secret@h/db"))


@pytest.mark.parametrize("env", [{}, {"BALLAST_SERVING_DATABASE_URL": "mysql://h/db"}])
def test_settings_errors_name_the_variable(env: dict[str, str]) -> None:
    with pytest.raises(ServingSettingsError, match="BALLAST_SERVING_DATABASE_URL"):
        load_serving_settings(env)


URL = {"BALLAST_SERVING_DATABASE_URL": "postgresql://h/db"}


@pytest.mark.parametrize(
    ("said", "expected"), [({}, (200, 2_000)), ({LARGE_VARIABLE: "7", SMALL_VARIABLE: "100000"}, (7, 100_000))]
)
def test_settings_bound_the_runs_of_a_day(said: dict[str, str], expected: tuple[int, int]) -> None:
    settings = load_serving_settings(URL | said)
    assert (settings.large_runs_a_day, settings.small_runs_a_day) == expected


@pytest.mark.parametrize("name", [LARGE_VARIABLE, SMALL_VARIABLE])
@pytest.mark.parametrize("said", ["0", "-1", "1.5", "100001", "many", "\u0663", "9" * 5_000])
def test_a_bound_that_is_no_number_is_named(name: str, said: str) -> None:
    with pytest.raises(ServingSettingsError, match=f"{name}: a whole number from 1 to 100000"):
        load_serving_settings(URL | {name: said})


@pytest.mark.parametrize(("path", "says"), [("/", "data mode"), ("/docs", "OpenAPI document")])
def test_pages_need_nothing_from_elsewhere(client: TestClient, path: str, says: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert says in page.text
