"""The devnet without a socket: an SDK transport that calls it directly, and the seam for faults in between.

The request and the answer still pass through JSON text, as over HTTP. The server uses the same seam.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Protocol

from stellar_sdk.client.base_sync_client import BaseSyncClient
from stellar_sdk.client.response import Response
from stellar_sdk.exceptions import ConnectionError as SdkConnectionError


class ConnectionDropped(Exception):
    """The connection breaks here: before handling nothing happened, after it the reply is lost."""


class Hanging(Exception):
    """Nothing comes back for `seconds`, then the connection breaks."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"hanging for {seconds} s")
        self.seconds = seconds


class Instead(Exception):
    """This HTTP status and text come back instead of an answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.text = text


class Faults:
    """Consulted around every request; this one does nothing. Tests subclass it.

    `before` and `after` may raise ConnectionDropped, Hanging or Instead; `after` may return another body.
    """

    def before(self, method: str) -> None:
        """Called before the request is handled."""

    def after(self, method: str, body: str) -> str:
        """Called with the answer's text before it is delivered."""
        return body


class Answering(Protocol):
    """What handles requests: a node, or several behind one address."""

    def handle(self, request: Any) -> dict[str, Any]:
        """Answer one JSON-RPC request object."""


def answer(rpc: Answering, request_text: str, faults: Faults) -> str:
    """Handle the text of one request and return the text of its answer."""
    try:
        request = json.loads(request_text)
    except (json.JSONDecodeError, RecursionError):
        request = None
    method = str(request.get("method")) if isinstance(request, dict) else ""
    faults.before(method)
    return faults.after(method, json.dumps(rpc.handle(request)))


class InProcessClient(BaseSyncClient):
    """Transport for `SorobanGateway` and `DevnetAdmin` in tests. A hanging node is a time-out that costs no time."""

    def __init__(self, rpc: Answering, faults: Faults | None = None) -> None:
        self._rpc = rpc
        self._faults = faults or Faults()

    def get(self, url: str, params: dict[str, str] | None = None, max_content_size: int | None = None) -> Response:
        raise SdkConnectionError("a Soroban RPC node is asked by POST")

    def post(self, url: str, data: dict[str, str] | None = None, json_data: dict[str, Any] | None = None) -> Response:
        try:
            body = answer(self._rpc, json.dumps(json_data), self._faults)
        except (ConnectionDropped, Hanging) as error:
            raise SdkConnectionError("connection dropped") from error
        except Instead as other:
            return Response(other.status, other.text, {}, url)
        return Response(200, body, {}, url)

    def stream(self, url: str, params: dict[str, str] | None = None) -> Generator[dict[str, Any], None, None]:
        raise SdkConnectionError("a Soroban RPC node has no streams")

    def close(self) -> None:
        """Nothing is open."""
