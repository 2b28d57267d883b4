"""Application factory: wires settings, store, routes and error shape. No state lives outside `app.state`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from serving import errors
from serving.middleware import HeadMiddleware, RequestIdMiddleware
from serving.routes import backtests, decisions, health, measures, page, risk, simulations
from serving.runs import Desk
from serving.settings import ServingSettings, load_serving_settings
from serving.store import Store, make_engine, make_request_engine

_DESCRIPTION = """
Scores of the newest materialized run. **VolatilityScore** 0-100: 50 is the usual spike risk, 80 four times the usual
odds, 90 nine times. `data_mode` in every answer says whether a market was simulated, replayed or live.
Paths under `/v1` are stable; the same paths without it answer the same.
"""


class Api(FastAPI):
    """The framework, with a document that says under which content type errors leave."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = errors.as_problems(super().openapi())
        return self.openapi_schema


def create_app(settings: ServingSettings | None = None) -> FastAPI:
    """Build the API. Without settings they are read from the environment (the entry of the server process)."""
    chosen = settings or load_serving_settings()
    engine, request_engine = make_engine(chosen), make_request_engine(chosen)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()
        request_engine.dispose()

    # A redirect would carry the caller's Host header back to it: a path with a slash too many is simply not there.
    app = Api(
        title="Ballast",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # the framework's pages load their scripts from elsewhere: blank without the internet
        redoc_url=None,
    )
    app.state.store = Store(engine, request_engine)
    app.state.desk = Desk(None, chosen.large_runs_a_day, chosen.small_runs_a_day)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(RequestIdMiddleware)
    errors.install(app)
    for answers in (risk, measures, decisions, backtests, simulations):
        app.include_router(answers.router, prefix="/v1")
        app.include_router(answers.router, include_in_schema=False)
    app.include_router(health.router)
    app.include_router(page.router)
    return app
