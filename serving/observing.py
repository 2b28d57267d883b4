"""What is noticed of each request: counts and latencies by route template, a line of the access log, a span."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.access.keys import redacted
from models.contracts.log_lines import ACCESS_LOGGER, AccessLog
from serving.metrics import RequestMetrics

UNMATCHED = "unmatched"  # no route: a scanner's paths must not become labels
CLOSED_BY_CLIENT = 499  # as nginx calls it: nobody was there any more to be answered
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PREFIX = "/v1"
_SLOW_S = 1.0
_MOST_OF_A_PATH = 200
_HOLDER = "ballast_route"
_log = logging.getLogger(ACCESS_LOGGER)


@dataclass(slots=True)
class Observed:
    """What came of one request."""

    method: str
    route: str = UNMATCHED
    status: int = CLOSED_BY_CLIENT
    is_stream: bool = False
    bytes_sent: int = 0


# Opens a span around a request; it reads what came of it when it closes.
Span = Callable[[Scope, Observed], AbstractContextManager[None]]


class ObserveMiddleware:
    """The outermost: it also sees what other middleware refuses."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, access: AccessLog, span: Span | None = None) -> None:
        self.app, self._metrics, self._access, self._span = app, metrics, access, span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "other"
        observed = scope[_HOLDER] = Observed(method)

        async def noticed(message: Message) -> None:
            if message["type"] == "http.response.start":
                observed.status = message["status"]
                observed.is_stream = _is_stream(message)
            elif message["type"] == "http.response.body":
                observed.bytes_sent += len(message.get("body", b""))
            await send(message)

        began = time.perf_counter()
        self._metrics.started()
        try:
            if self._span is None:
                await self.app(scope, receive, noticed)
            else:
                with self._span(scope, observed):
                    await self.app(scope, receive, noticed)
        except Exception:
            observed.status = 500  # answered further out
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.ended(observed.method, observed.route, observed.status, seconds, observed.is_stream)
            if self._is_told(observed, seconds):
                _log.info("%s %s %s", method, observed.route, observed.status, extra={"fields": {
                    "method": method, "route": observed.route, "path": redacted(scope["path"])[:_MOST_OF_A_PATH],
                    "status": observed.status, "duration_s": round(seconds, 6), "bytes": observed.bytes_sent,
                    "client": scope["client"][0] if scope.get("client") else None,
                }})  # fmt: skip

    def _is_told(self, observed: Observed, seconds: float) -> bool:
        if self._access is not AccessLog.ODD:
            return self._access is AccessLog.ALL
        return observed.status >= 400 or (seconds >= _SLOW_S and not observed.is_stream)


class RouteMiddleware:
    """The innermost: middleware may hand on a copy of the scope, and only the router's own names the route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            template: Any = getattr(scope.get("route"), "path", None)
            if isinstance(template, str) and _HOLDER in scope:
                # A route that was included knows its path without the prefix under which it was.
                is_below = scope["path"].startswith(f"{_PREFIX}/") and not template.startswith(_PREFIX)
                scope[_HOLDER].route = f"{_PREFIX}{template}" if is_below else template


def _is_stream(start: Message) -> bool:
    headers = dict(start.get("headers", ()))
    return bytes(headers.get(b"content-type", b"")).startswith(b"text/event-stream")
