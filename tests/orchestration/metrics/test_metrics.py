"""Metrics of the jobs: what the tables hold, by name and label; a file that is replaced whole; a push that is heard."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from keeper.limits import Phase
from models.contracts.metrics import JOB_METRICS, MetricKind
from orchestration.configuration.metrics import MetricsTarget, MetricsWay, metrics_target
from orchestration.metrics.publish import PublishError, as_text, publish
from orchestration.metrics.reading import read_metrics
from orchestration.resources.workspace import Workspace
from orchestration.sensors import sensors
from orchestration.settings import SettingsError, load_settings
from tests.orchestration.alerts.test_approval import an_intent
from tests.orchestration.conftest import NOW

WALL = datetime(2026, 1, 2, tzinfo=UTC)


def told(workspace: Workspace) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by metric and label, as Prometheus reads them."""
    order = {metric.name.removesuffix("_total"): metric.labels for metric in JOB_METRICS}
    families = text_string_to_metric_families(as_text(read_metrics(workspace.warehouse, WALL)))
    return {f.name: {tuple(s.labels[n] for n in order[f.name]): s.value for s in f.samples} for f in families}


def execute(workspace: Workspace, *statements: str) -> None:
    with workspace.warehouse.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def fill(workspace: Workspace) -> None:
    an_intent(workspace, Phase.APPROVE)
    for run, ok, age in (("1", True, 3), ("2", False, 2), ("3", False, 1)):
        ended = WALL - timedelta(hours=age)
        workspace.warehouse.record_job_run(
            "training", run, ok=ok, started_at=ended - timedelta(seconds=30), finished_at=ended,
            market_time=NOW - timedelta(hours=age), error_text=None,
        )  # fmt: skip
    log = "insert into raw.ingest_log (dataset, provider, data_mode, rows_received, rows_added, rows_rejected, "
    execute(
        workspace,
        f"{log}outcome, started_at) values ('candles', 'x', 'simulated', 9, 5, 1, 'ok', now())",
        f"{log}outcome, started_at) values ('candles', 'x', 'simulated', 9, 2, 0, 'ok', now())",
        "insert into ops.freshness (dataset, series, interval, max_age_s, stale, checked_at) values "
        "('candles', 'BTC', '1h', 1, true, now()), ('candles', 'ETH', '1h', 1, false, now())",
        "insert into ops.gaps (dataset, series, interval, gap_start, gap_end, missing_slots, status, detected_at, "
        "checked_at) values ('candles', 'BTC', '1h', now(), now(), 4, 'open', now(), now()), "
        "('candles', 'ETH', '1h', now(), now(), 7, 'fixed', now(), now())",
        "insert into keeper.control (scope, mode, reason, set_by) values ('global', 'run', 'r', 'a'), "
        "('global', 'halt', 'r', 'a')",
        "insert into risk.scores (subject, subject_kind, horizon_days, as_of, issued_at, valid_until, status, reasons, "
        "score, p_spike, model_name, model_version, data_mode, share_imputed, share_stale, degraded, drivers) values "
        f"('BTC', 'series', 1, '{NOW - timedelta(hours=1)}', '{NOW}', '{NOW + timedelta(hours=1)}', 'ok', '{{}}', 50, "
        "0.1, 'm', '1', 'simulated', 0, 0, true, '[]')",
        "insert into ops.alert_events (dedup_key, name, scope, event, episode, n, count, severity, summary, facts, "
        "evidence, runbook, since, at, data_mode) values ('job_late:x', 'job_late', 'x', 'raised', 1, 0, 1, 'warning', "
        "'s', '{}', '', 'r', now(), now(), 'simulated')",
    )


def test_what_the_tables_hold(workspace: Workspace) -> None:
    fill(workspace)
    found = told(workspace)
    expected: dict[str, dict[tuple[str, ...], float]] = {
        "ballast_metrics_timestamp_seconds": {(): WALL.timestamp()},
        "ballast_job_runs": {("training", "ok"): 1, ("training", "failed"): 2},
        "ballast_job_success_timestamp_seconds": {("training",): (WALL - timedelta(hours=3)).timestamp()},
        "ballast_job_success_age_seconds": {("training",): 3 * 3600},
        "ballast_job_failures_in_a_row": {("training",): 2},
        "ballast_job_duration_seconds": {("training",): 30},
        "ballast_ingested_rows": {("candles",): 7},
        "ballast_rejected_rows": {("candles",): 1},
        "ballast_series": {("candles", "fresh"): 1, ("candles", "stale"): 1},
        "ballast_gaps_open": {("candles",): 1},
        "ballast_missing_slots_open": {("candles",): 4},
        "ballast_score_age_seconds": {("BTC", "1"): 3600},
        "ballast_score_valid_seconds": {("BTC", "1"): 3600},
        "ballast_score_degraded": {("BTC", "1"): 1},
        "ballast_decisions": {("mixed", "rebalance"): 1},
        "ballast_decision_age_seconds": {("mixed",): 0},
        "ballast_intents_unresolved": {("mixed",): 1},
        "ballast_intents_awaiting_approval": {("mixed",): 1},
        "ballast_kill_switch": {("global", "halt"): 1},
        "ballast_alerts_open": {("job_late", "warning"): 1},
    }
    assert {name: found[name] for name in expected} == expected
    states = found["ballast_intents"]
    assert states.pop(("mixed", "simulated")) == 1
    assert len(states) == 13
    assert set(states.values()) == {0}
    assert found["ballast_job_allowed_age_seconds"][("training",)] == 15 * 86_400


def test_the_catalogue_is_what_is_read(workspace: Workspace) -> None:
    fill(workspace)
    readings = read_metrics(workspace.warehouse, WALL)
    assert {reading.metric for reading in readings} == set(JOB_METRICS)
    assert len(readings) == len(JOB_METRICS)
    for reading in readings:
        assert reading.rows
        assert {len(labels) for labels, _ in reading.rows} == {len(reading.metric.labels)}


def test_of_a_vault_that_is_kept_no_more_no_age_is_told(workspace: Workspace) -> None:
    fill(workspace)
    execute(workspace, "update ops.vaults set is_kept = false")
    found = told(workspace)
    assert found["ballast_decision_age_seconds"] == {}
    assert found["ballast_decisions"] == {("mixed", "rebalance"): 1}


def test_an_empty_market_is_told_too(workspace: Workspace) -> None:
    found = told(workspace)
    assert found["ballast_metrics_timestamp_seconds"] == {(): WALL.timestamp()}
    assert found["ballast_intents"] == {}


@pytest.mark.parametrize("metric", JOB_METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Any) -> None:
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert not {"job", "instance"} & set(metric.labels)


def test_a_file_is_replaced_whole(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "ballast.prom"
    path.write_text("old")
    publish(read_metrics(workspace.warehouse, WALL), MetricsTarget(MetricsWay.TEXTFILE, str(path)), "simulated")
    assert "ballast_metrics_timestamp_seconds 1.7673" in path.read_text()
    assert [entry.name for entry in tmp_path.glob("ballast*")] == ["ballast.prom"]


def test_a_place_that_does_not_take_it_is_named(workspace: Workspace, tmp_path: Path) -> None:
    readings = read_metrics(workspace.warehouse, WALL)
    with pytest.raises(PublishError, match=r"textfile:.*nowhere"):
        publish(readings, MetricsTarget(MetricsWay.TEXTFILE, str(tmp_path / "nowhere" / "x.prom")), "simulated")
    with pytest.raises(PublishError, match=r"push:http://127\.0\.0\.1:1"):
        publish(readings, MetricsTarget(MetricsWay.PUSH, "http://127.0.0.1:1"), "simulated")


def test_a_push(workspace: Workspace) -> None:
    heard: list[tuple[str, bytes]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        target = MetricsTarget(MetricsWay.PUSH, f"http://127.0.0.1:{server.server_port}")
        publish(read_metrics(workspace.warehouse, WALL), target, "replay:/data")
        thread.join()
    ((path, body),) = heard
    assert path.startswith("/metrics/job/ballast/market@base64/")
    assert b"ballast_metrics_timestamp_seconds" in body


def test_the_sensor_leaves_them(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "x.prom"
    settings = load_settings({"BALLAST_STATE": str(tmp_path), "BALLAST_METRICS": f"textfile:{path}"})
    sensor = {made.name: made for made in sensors(settings)}["metrics_sensor"]
    with dg.build_sensor_context(resources={"workspace": Workspace.of(settings, workspace.warehouse_url)}) as context:
        result = sensor(context)
    assert isinstance(result, dg.SkipReason)
    assert path.is_file()
    assert "metrics_sensor" not in {made.name for made in sensors(load_settings({"BALLAST_STATE": str(tmp_path)}))}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("textfile:x.prom", "absolute path that ends in .prom"),
        ("textfile:/x.txt", "absolute path that ends in .prom"),
        ("push:host:9091", "needs an http"),
        ("push:http://u:p@host:9091", "without user and password"),
        ("statsd:x", "'statsd' is not textfile, push"),
    ],
)
def test_a_wrong_target_is_told(said: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        metrics_target(said)


def test_the_setting_reaches_the_processes_that_are_started() -> None:
    from orchestration.settings import as_environment

    said = "push:http://127.0.0.1:9091"
    assert as_environment(load_settings({"BALLAST_METRICS": said}))["BALLAST_METRICS"] == said
