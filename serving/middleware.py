"""What every answer has: a request id (the caller's when well formed, else made here), headers that keep answers out of
caches, and no body when only the head was asked for."""

from __future__ import annotations

import re
import uuid

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.contracts.log_lines import CONTEXT

HEAD_ONLY = "ballast.head_only"  # in the scope of a request whose body nobody reads: an endless one need not begin
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(request: Request) -> str:
    """The id of this request, as set by `RequestIdMiddleware`."""
    return str(request.scope.get("request_id", ""))


class RequestIdMiddleware:
    """Pure ASGI, so that it costs no task per request and also covers error answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        identity = given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = identity
        CONTEXT.set({"request_id": identity})  # of this request's task alone: every line of the log carries it

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = identity
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")  # what a cache kept would be served as fresh
            await send(message)

        await self.app(scope, receive, send_with_id)


class HeadMiddleware:
    """HEAD answers as GET does, without the body: health probes and link checkers ask that way."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {"type": message["type"], "body": b"", "more_body": message.get("more_body", False)}
            await send(message)

        await self.app({**scope, "method": "GET", HEAD_ONLY: True}, receive, send_head)
