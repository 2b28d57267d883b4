"""Traces: a span for each request with its id, one for each statement below it, no values; nothing at all when off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine

from serving import tracing
from serving.app import create_app
from serving.settings import ServingSettings, ServingSettingsError, TracesExporter, load_serving_settings
from tests.serving.conftest import add_score, set_clock

URL = {"BALLAST_SERVING_DATABASE_URL": "postgresql://db/x"}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    kept = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "exporting", lambda exporter: SimpleSpanProcessor(kept))
    return kept


@pytest.fixture
def traced(serving_url: str, spans: InMemorySpanExporter) -> Iterator[TestClient]:
    with TestClient(create_app(ServingSettings(serving_url, traces=TracesExporter.OTLP))) as client:
        yield client


def test_from_the_request_to_its_statements(traced: TestClient, spans: InMemorySpanExporter, writer: Engine) -> None:
    set_clock(writer)
    add_score(writer)
    headers = {"X-Request-Id": "abc", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    answer = traced.get("/v1/risk/current?subject=BTC", headers=headers)
    assert answer.status_code == 200
    *statements, request = spans.get_finished_spans()
    assert request.name == "GET /v1/risk/current"
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET", "http.route": "/v1/risk/current", "http.response.status_code": 200,
        "url.path": "/v1/risk/current", "ballast.request_id": "abc",
    }  # fmt: skip
    assert request.resource.attributes["service.name"] == "ballast-api"
    assert f"{request.context.trace_id:032x}" == TRACE
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == SPAN
    assert len(statements) >= 2
    for span in statements:
        assert span.parent is not None
        assert span.parent.span_id == request.context.span_id
        attributes: dict[str, Any] = dict(span.attributes or {})
        assert attributes.keys() == {"db.system.name", "db.query.text"}
        assert "BTC" not in attributes["db.query.text"]
    assert any("%(subject)s" in str((s.attributes or {})["db.query.text"]) for s in statements)


def test_a_statement_that_fails_is_marked_without_its_words(
    traced: TestClient, spans: InMemorySpanExporter, writer: Engine
) -> None:
    with writer.begin() as connection:
        connection.exec_driver_sql("drop view serving.market")
    assert traced.get("/ready").status_code == 503
    statement, request = spans.get_finished_spans()
    assert not statement.status.is_ok
    assert (statement.attributes or {})["error.type"] == "UndefinedTable"
    assert statement.events == ()
    assert not request.status.is_ok


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x"}, None),
        ({"OTEL_TRACES_EXPORTER": "console"}, TracesExporter.CONSOLE),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, TracesExporter.OTLP),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, TracesExporter.OTLP),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_the_standard_variables_choose(env: dict[str, str], expected: TracesExporter | None) -> None:
    assert load_serving_settings(URL | env).traces is expected


def test_an_exporter_that_is_none() -> None:
    with pytest.raises(ServingSettingsError, match="OTEL_TRACES_EXPORTER: 'zipkin' is not none, otlp, console"):
        load_serving_settings(URL | {"OTEL_TRACES_EXPORTER": "zipkin"})


def test_nothing_is_imported_when_it_is_off() -> None:
    code = (
        "import sys; from serving.app import create_app; from serving.settings import ServingSettings; "
        "create_app(ServingSettings('postgresql+psycopg2://h/x')); "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'serving.tracing'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ServingSettingsError, match="tracing"):
        tracing.exporting(TracesExporter.OTLP)
