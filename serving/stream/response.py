"""The answer that does not end: blocks of one reader as they come, a heartbeat when none does."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.middleware import HEAD_ONLY
from serving.stream.blocks import heartbeat
from serving.stream.hub import Hub
from serving.stream.reader import Reader

SEND_S = 20.0  # a reader that takes nothing for so long is let go


class EventStream(Response):
    """Ends when the reader leaves, does not keep up, or the process ends."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, reader: Reader, heartbeat_s: float, send_s: float = SEND_S) -> None:
        # nginx and others would else keep blocks back until a page is full.
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub, self._reader, self._heartbeat_s, self._send_s = hub, reader, heartbeat_s, send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(self._wait_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if not scope.get(HEAD_ONLY):
                await self._blocks(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            pass  # it takes nothing any more: the server closes a connection whose answer did not end
        finally:
            gone.cancel()
            self._hub.leave(self._reader)

    async def _blocks(self, send: Send) -> None:
        while True:
            told = await self._reader.next(self._heartbeat_s)
            if told is None:
                if not self._reader.is_open:
                    return
                told = heartbeat(self._hub.position)
            await asyncio.wait_for(send({"type": "http.response.body", "body": told, "more_body": True}), self._send_s)

    async def _wait_until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._reader.close()
