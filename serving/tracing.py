"""OpenTelemetry: a span for each request and one for each statement in it. Imported only where the standard OTEL_*
variables ask for it; sampler, resource, propagators and exporter are set by them.

A span of a statement has its text with names where the values go, and never a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import Engine, event
from starlette.types import Scope

from models.access.keys import redacted
from serving.observing import Observed
from serving.settings import ServingSettingsError, TracesExporter

_SERVICE = "ballast-api"
_SPAN = "_ballast_span"  # attribute of an execution context


def exporting(exporter: TracesExporter) -> SpanProcessor:
    """Sends spans in the background. Raises ServingSettingsError when the package for it is not installed."""
    chosen: SpanExporter = ConsoleSpanExporter()
    if exporter is TracesExporter.OTLP:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError:
            raise ServingSettingsError(
                "OTEL_TRACES_EXPORTER: otlp needs a package that is not installed: pip install -e '.[tracing]'"
            ) from None
        chosen = OTLPSpanExporter()
    return BatchSpanProcessor(chosen)


class Tracing:
    """Spans of one application; `close` sends what is left."""

    def __init__(self, engines: Sequence[Engine], processor: SpanProcessor) -> None:
        self._provider = TracerProvider(resource=_resource())
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("ballast.serving")
        for engine in engines:
            event.listen(engine, "before_cursor_execute", self._statement_begins)
            event.listen(engine, "after_cursor_execute", _statement_ends)
            event.listen(engine, "handle_error", _statement_fails)

    def close(self) -> None:
        self._provider.shutdown()

    @contextmanager
    def request(self, scope: Scope, observed: Observed) -> Iterator[None]:
        """A span around a request, below the caller's if there is a `traceparent`."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        above = propagate.extract(headers)
        with self._tracer.start_as_current_span(observed.method, above, SpanKind.SERVER) as span:
            try:
                yield
            except Exception:
                observed.status = 500  # answered further out
                raise
            finally:
                span.update_name(f"{observed.method} {observed.route}")
                span.set_attributes(
                    {
                        "http.request.method": observed.method,
                        "http.route": observed.route,
                        "http.response.status_code": observed.status,
                        "url.path": redacted(scope["path"]),
                        "ballast.request_id": str(scope.get("request_id", "")),
                    }
                )
                if observed.status >= 500:
                    span.set_status(StatusCode.ERROR)

    def _statement_begins(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if context is None or not trace.get_current_span().is_recording():
            return  # a ping of the pool, or nobody's request
        told = " ".join(statement.split())
        span = self._tracer.start_span(told.split(" ", 1)[0].upper(), kind=SpanKind.CLIENT)
        span.set_attributes({"db.system.name": "postgresql", "db.query.text": told})
        setattr(context, _SPAN, span)


def _statement_ends(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
    _end(context)


def _statement_fails(context: Any) -> None:
    # The driver's text may quote values: the kind of error is all that leaves.
    _end(context.execution_context, type(context.original_exception).__name__)


def _end(context: Any, error: str | None = None) -> None:
    span = getattr(context, _SPAN, None)
    if span is None:
        return
    if error is not None:
        span.set_status(StatusCode.ERROR)
        span.set_attribute("error.type", error)
    span.end()
    delattr(context, _SPAN)


def _resource() -> Resource:
    found = Resource.create()
    unnamed = str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return found.merge(Resource({SERVICE_NAME: _SERVICE})) if unnamed else found
