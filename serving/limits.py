"""Bounds of one request: how long its body may be, and when its answer must have begun."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import Problem, problem_response


class BodyLimitMiddleware:
    """Refuses what is announced too long, and stops reading what turns out to be."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self.app, self._most_bytes = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value[:20]) > self._most_bytes):
                await problem_response(Request(scope), self._too_long())(scope, receive, send)
                return
        read = 0

        async def receive_some() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self._most_bytes:
                    # The framework lets its own exception through where it reads a body, and turns others into a 400.
                    raise HTTPException(413, self._too_long().detail)
            return message

        await self.app(scope, receive_some, send)

    def _too_long(self) -> Problem:
        return Problem(
            413, "body_too_long", "The body is too long",
            f"body: it is longer than {self._most_bytes} bytes; no request needs more.", field="body",
        )  # fmt: skip


class TimeLimitMiddleware:
    """Answers in time for a handler that does not. One that computes in a thread is left to end there: statements and
    runs have bounds of their own. An answer that has begun, like a stream, may take as long as it likes."""

    def __init__(self, app: ASGIApp, within_s: float) -> None:
        self.app, self._within_s = app, within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        begun = late = False

        def too_late() -> None:
            nonlocal late
            if not begun:
                late = True
                task.cancel()

        async def send_in_time(message: Message) -> None:
            nonlocal begun
            if late:
                return  # somebody in there answers that it was cancelled
            begun = True
            timer.cancel()
            await send(message)

        timer = asyncio.get_running_loop().call_later(self._within_s, too_late)
        try:
            await self.app(scope, receive, send_in_time)
        except asyncio.CancelledError:
            if not late:
                raise
            task.uncancel()
        finally:
            timer.cancel()
        if late:
            await problem_response(Request(scope), self._took_too_long())(scope, receive, send)

    def _took_too_long(self) -> Problem:
        problem = Problem(
            503, "took_too_long", "The answer took too long",
            f"No answer had begun after {self._within_s:g} seconds. What was asked for may still be done: ask again "
            "before you send it anew.",
            retry_after_s=5,
        )  # fmt: skip
        problem.headers["Connection"] = "close"  # the rest of its body may never come
        return problem
