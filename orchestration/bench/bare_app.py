"""The least that the framework of the API can do: one route without validation, database or middleware."""

from __future__ import annotations

from fastapi import FastAPI

from orchestration.bench.http_load import BARE_PATH


def create_app() -> FastAPI:
    app = FastAPI()

    # Not async, like the routes of the API: the framework runs it in its pool of threads.
    @app.get(BARE_PATH)
    def bare() -> dict[str, bool]:
        return {"ok": True}

    return app
