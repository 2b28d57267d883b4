"""Bounds of a request, held against small applications: bodies of told and untold length, handlers that are slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Body, FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from serving import errors
from serving.app import create_app
from serving.limits import BodyLimitMiddleware, TimeLimitMiddleware
from serving.settings import ServingSettings

AWAY = "postgresql+psycopg2://nobody@127.0.0.1:1/none"
SIMULATE = "/v1/risk/simulate"


def bounded(most_bytes: int = 100, within_s: float = 30) -> FastAPI:
    app = FastAPI()

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def of_json(body: Any = Body()) -> int:  # noqa: B008 - the framework's way
        return len(body)

    errors.install(app)
    app.add_middleware(TimeLimitMiddleware, within_s=within_s)
    app.add_middleware(BodyLimitMiddleware, most_bytes=most_bytes)
    return app


def in_parts(size: int) -> Iterator[bytes]:
    """Sent as it comes, without a length."""
    yield b'"'
    for _ in range(size - 2):
        yield b"a"
    yield b'"'


@pytest.mark.parametrize("path", ["/raw", "/json"])
@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413), (2_000, 413)])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_bounded_whether_its_length_is_told_or_not(
    path: str, size: int, status: int, announced: bool
) -> None:
    body = b"".join(in_parts(size)) if announced else in_parts(size)
    answer = TestClient(bounded()).post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["code"] == "body_too_long"
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("length", ["-1", "1e3", "999999999999999999999999", "1_0"])
def test_lengths_that_are_none(length: str) -> None:
    answer = TestClient(bounded()).post("/raw", content=b"", headers={"Content-Length": length})
    assert answer.status_code == 413


def test_no_more_is_read_than_is_allowed() -> None:
    read = []

    def counted() -> Iterator[bytes]:
        for number in range(1_000):
            read.append(number)
            yield b"a" * 50

    async def ask() -> int:
        parts, sent = counted(), []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": next(parts), "more_body": True}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/raw", "headers": [], "query_string": b""}
        await bounded()(scope, receive, send)  # type: ignore[arg-type]
        return int(sent[0]["status"])

    assert asyncio.run(ask()) == 413
    assert len(read) == 3


def test_a_handler_that_waits_and_one_that_computes_are_answered_for() -> None:
    app, done = bounded(within_s=0.05), threading.Event()

    @app.get("/waits")
    async def waits() -> None:
        await asyncio.sleep(30)

    @app.get("/computes")
    def computes() -> None:
        done.wait(30)

    client = TestClient(app)
    for path in ("/waits", "/computes"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "took_too_long")
        assert answer.headers["Retry-After"] == "5"
    done.set()


def test_a_body_that_never_comes_is_not_waited_for() -> None:
    async def ask() -> int:
        sent = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(30)
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/raw", "headers": [], "query_string": b""}
        await bounded(within_s=0.05)(scope, receive, send)  # type: ignore[arg-type]
        return int(sent[0]["status"])

    assert asyncio.run(ask()) == 503


def test_an_answer_that_has_begun_may_take_its_time() -> None:
    app = bounded(within_s=0.05)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            for _ in range(4):
                yield b"a"
                await asyncio.sleep(0.03)

        return StreamingResponse(parts())

    assert TestClient(app).get("/stream").text == "aaaa"


def test_whoever_is_cancelled_by_others_stays_cancelled() -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(30)

    async def ask() -> None:
        task = asyncio.ensure_future(TimeLimitMiddleware(endless, 30)({"type": "http"}, None, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())


def test_the_api_has_these_bounds() -> None:
    with TestClient(create_app(ServingSettings(AWAY))) as client:
        answer = client.post(SIMULATE, content=b"a" * 70_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert "Content-Security-Policy" in answer.headers
