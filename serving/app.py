"""Application factory: wires settings, store, routes and error shape. No state lives outside `app.state`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from serving import errors, logs
from serving.access.document import with_access
from serving.access.gate import Gate
from serving.access.ledger import Ledger
from serving.access.passage import PassageMiddleware
from serving.access.scopes import refuse_undeclared
from serving.access.settings import AccessSettings
from serving.access.signing_keys import SigningKeys, fetch
from serving.access.tokens import Tokens
from serving.answers import RecentAnswers
from serving.headers import SecurityHeadersMiddleware
from serving.limits import BodyLimitMiddleware, TimeLimitMiddleware
from serving.metrics import Exposition
from serving.middleware import HeadMiddleware, RequestIdMiddleware
from serving.observing import ObserveMiddleware, RouteMiddleware
from serving.remembered import Remembered
from serving.routes import backtests, decisions, evidence, health, measures, metrics, page, risk, simulations, stream
from serving.runs import Desk
from serving.settings import ServingSettings, load_serving_settings
from serving.shutdown import before_stopping
from serving.store import Store, make_access_engine, make_engine, make_request_engine
from serving.stream.hub import Hub

if TYPE_CHECKING:
    from serving.tracing import Tracing

_DESCRIPTION = """
Scores of the newest materialized run. **VolatilityScore** 0-100: 50 is the usual spike risk, 80 four times the usual
odds, 90 nine times. `data_mode` in every answer says whether a market was simulated, replayed or live.
Paths under `/v1` are stable; the same paths without it answer the same.
"""

# What other origins may send and see, where any may ask at all.
_HEADERS_IN = ("Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", "X-API-Key", "X-Request-Id")
_HEADERS_OUT = ("ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")


class Api(FastAPI):
    """The framework, with a document that says under which content type errors leave and what a path needs, and with
    headers for browsers around everything."""

    access: AccessSettings

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = with_access(errors.as_problems(super().openapi()), self, self.access)
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        return SecurityHeadersMiddleware(super().build_middleware_stack(), self.access.tls)


def create_app(settings: ServingSettings | None = None) -> FastAPI:
    """Build the API. Without settings they are read from the environment (the entry of the server process)."""
    chosen = settings or load_serving_settings()
    if settings is None:
        logs.configure(chosen)
    engines = [make_engine(chosen), make_request_engine(chosen), make_access_engine(chosen)]
    tracing = _tracing(chosen, engines)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with before_stopping(app.state.hub.let_go):
            yield
        await app.state.hub.close()
        if tracing is not None:
            tracing.close()
        for engine in engines:
            engine.dispose()

    # A redirect would carry the caller's Host header back to it: a path with a slash too many is simply not there.
    app = Api(
        title="Ballast",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # the framework's pages load their scripts from elsewhere: blank without the internet
        redoc_url=None,
        # Spans are ours (serving.tracing): the framework's hold the values of query parameters.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.access = chosen.access
    store = Store(*engines[:2])
    app.state.store = store
    app.state.remembered = Remembered(store, chosen.standing_s)
    app.state.recent = RecentAnswers(chosen.answer_kept_s)
    app.state.hub = Hub(store.events, chosen.streams, chosen.poll_s, on_news=app.state.recent.forget)
    app.state.heartbeat_s = chosen.heartbeat_s
    app.state.gate = make_gate(chosen.access, Ledger(engines[2]))
    app.state.desk = Desk(None, chosen.large_runs_a_day, chosen.small_runs_a_day)
    app.state.exposition = Exposition(app.state.store)
    app.add_middleware(RouteMiddleware)  # the innermost; others go between it and the last two
    app.add_middleware(HeadMiddleware)
    _guard(app, chosen.access)
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(
        ObserveMiddleware,
        metrics=app.state.exposition.requests,
        access=chosen.log.access,
        span=None if tracing is None else tracing.request,
    )
    errors.install(app)
    for answers in (risk, measures, evidence, decisions, backtests, simulations):
        app.include_router(answers.router, prefix="/v1")
        app.include_router(answers.router, include_in_schema=False)
    app.include_router(stream.router, prefix="/v1")
    app.include_router(health.router)
    app.include_router(page.router)
    app.include_router(metrics.router)
    refuse_undeclared(app)
    return app


def make_gate(access: AccessSettings, ledger: Ledger) -> Gate:
    oidc = access.oidc
    tokens = Tokens(oidc, SigningKeys(partial(fetch, oidc.jwks_url))) if oidc is not None else None
    return Gate(access, ledger, tokens)


def _guard(app: FastAPI, access: AccessSettings) -> None:
    """Bounds of a request, other origins, and what is told about a caller: each goes around those before it."""
    app.add_middleware(TimeLimitMiddleware, within_s=access.answer_within_s)
    app.add_middleware(BodyLimitMiddleware, most_bytes=access.most_body_bytes)
    if access.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.cors_origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=_HEADERS_IN,
            expose_headers=_HEADERS_OUT,
            max_age=600,
        )
    app.add_middleware(PassageMiddleware, gate=app.state.gate)


def _tracing(settings: ServingSettings, engines: Sequence[Engine]) -> Tracing | None:
    if settings.traces is None:
        return None
    from serving.tracing import Tracing, exporting  # half a second, and nothing for those that do not trace

    return Tracing(engines, exporting(settings.traces))
