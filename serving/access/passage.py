"""What the gate learned about a request: what is left to the caller goes into the answer, the end of a call into
the audit log."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.callers import PASSAGE, Passage
from serving.access.gate import Gate


class PassageMiddleware:
    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = scope[PASSAGE] = Passage()

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *passage.headers]
                if passage.with_credential:
                    _keep_from_others(message)
                if passage.audited is not None:
                    await self._gate.answered(scope, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_told)
        except Exception:
            if passage.audited is not None:
                await self._gate.answered(scope, 500)  # the answer is made outside of here
            raise


def _keep_from_others(message: Message) -> None:
    """What one caller was given for a key, a cache on the way must not give to the next."""
    headers = MutableHeaders(scope=message)
    told = headers.get("cache-control", "")
    if "public" in told:
        headers["Cache-Control"] = told.replace("public", "private")
    headers.add_vary_header("Authorization, X-API-Key")
