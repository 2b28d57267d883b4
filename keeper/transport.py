"""HTTP to a node under a deadline, and the checks on its answers that the SDK does not make.

The SDK retries behind one's back, counts its time-out anew with every byte, and takes an answer to any question. Here
a request ends, one way or the other, when its time is over, and an answer to another question is none.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from stellar_sdk.client.base_sync_client import BaseSyncClient
from stellar_sdk.client.response import Response
from stellar_sdk.exceptions import ConnectionError as SdkConnectionError
from stellar_sdk.exceptions import raise_request_exception

REQUEST_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 16_000_000  # a ledger's whole meta is a few MB; nothing the keeper asks for is larger


class DeadlineClient(BaseSyncClient):
    """POST over a fresh connection, cut off after `timeout_s` in all: a node that hangs or drips holds nobody longer.

    Certificates are checked against the system's store. Redirects and proxies are not followed: a node is named.
    """

    def __init__(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()

    def get(self, url: str, params: dict[str, str] | None = None, max_content_size: int | None = None) -> Response:
        raise SdkConnectionError("a Soroban RPC node is asked by POST")

    def post(self, url: str, data: dict[str, str] | None = None, json_data: dict[str, Any] | None = None) -> Response:
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        late = threading.Event()
        watch = threading.Timer(self._timeout_s, _cut, (connection, late))
        watch.daemon = True
        watch.start()
        try:
            connection.connect()
            if late.is_set():
                raise TimeoutError
            connection.request("POST", target, json.dumps(json_data), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES + 1)
            if late.is_set():
                raise TimeoutError  # a body that was cut may still look complete
            if len(body) > MAX_ANSWER_BYTES:
                raise OSError("answer too large")
            return Response(answer.status, body.decode("utf-8", "replace"), dict(answer.getheaders()), "")
        except (OSError, http.client.HTTPException) as error:
            cause = TimeoutError() if late.is_set() else error
            raise SdkConnectionError("the node gave no complete answer") from cause
        finally:
            watch.cancel()
            connection.close()

    def stream(self, url: str, params: dict[str, str] | None = None) -> Generator[dict[str, Any], None, None]:
        raise SdkConnectionError("a Soroban RPC node has no streams")

    def close(self) -> None:
        """Nothing stays open between requests."""

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)


class StrictClient(BaseSyncClient):
    """Checks around any transport: an HTTP status that is no success is an error whatever its body says, and the
    answer carries the id of the question."""

    def __init__(self, inner: BaseSyncClient) -> None:
        self._inner = inner

    def get(self, url: str, params: dict[str, str] | None = None, max_content_size: int | None = None) -> Response:
        return self._inner.get(url, params, max_content_size)

    def post(self, url: str, data: dict[str, str] | None = None, json_data: dict[str, Any] | None = None) -> Response:
        answer = self._inner.post(url, data, json_data)
        raise_request_exception(answer)
        with suppress(json.JSONDecodeError):  # not JSON at all: the SDK says so
            body = json.loads(answer.text)
            if not isinstance(body, dict) or (json_data and body.get("id") != json_data.get("id")):
                raise ValueError("the answer is to another question")
        return answer

    def stream(self, url: str, params: dict[str, str] | None = None) -> Generator[dict[str, Any], None, None]:
        return self._inner.stream(url, params)

    def close(self) -> None:
        self._inner.close()  # type: ignore[no-untyped-call]


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
