"""One JSON document posted to an address that is a secret: time-outs, few retries, and an address that never shows.

The client asks for a placeholder; the transport puts the real address in on the last metre. So no log line of httpx
(it logs addresses at INFO), no exception and no repr holds it. Redirects are not followed: they would carry the
document to a place that nobody configured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from orchestration.alerts.channels.guarded import RefusedAddress
from orchestration.alerts.channels.interface import ChannelError
from orchestration.settings import Secret
from orchestration.sources.egress import Egress
from orchestration.sources.http import new_client

ATTEMPTS = 3
TIMEOUT_S = 5.0  # of each step of an exchange; chat services answer within one second
DEADLINE_S = 10.0  # of a whole answer: one that drips keeps every single step in time
PAUSE_S = 0.5  # doubled with each attempt
MAX_PAUSE_S = 3.0  # whoever asks for more patience gets it from the next pass
_PLACEHOLDER = "https://alert-channel.invalid/"
_MAX_ANSWER_BYTES = 64 * 1024


class _Destination(httpx.BaseTransport):
    """Replaces the placeholder by the real address."""

    def __init__(self, address: Secret, inner: httpx.BaseTransport) -> None:
        self._address, self._inner = address, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpx.URL(self._address.reveal())
        headers = request.headers.copy()
        headers["Host"] = url.netloc.decode("ascii")
        return self._inner.handle_request(
            httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=request.extensions)
        )

    def close(self) -> None:
        self._inner.close()


class SecretPost:
    """Posts to one address. `accepted`: judges the body of an answer of status 2xx; by default any will do.
    `headers`: of each attempt, made from the body as it is sent. `way_out`: by default straight or by the proxy."""

    def __init__(
        self,
        address: Secret,
        *,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], None] = time.sleep,
        accepted: Callable[[str], bool] = lambda body: True,
        headers: Callable[[bytes], Mapping[str, str]] = lambda body: {},
        way_out: Callable[[], httpx.BaseTransport] = Egress,
    ) -> None:
        self._address, self._timeout_s, self._sleep, self._accepted = address, timeout_s, sleep, accepted
        self._headers, self._way_out = headers, way_out

    def post(self, document: Mapping[str, Any]) -> None:
        """Post once; again where nothing says that it arrived and trying helps. Raises ChannelError.

        A lost answer is tried again too: a message twice is better than none.
        """
        told = ""
        sent = json.dumps(dict(document), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        with new_client(_Destination(self._address, self._way_out()), self._timeout_s) as client:
            for attempt in range(1, ATTEMPTS + 1):
                told, again_after_s = self._attempt(client, sent)
                if not told:
                    return
                if again_after_s is None or attempt == ATTEMPTS:
                    break
                self._sleep(min(max(PAUSE_S * 2 ** (attempt - 1), again_after_s), MAX_PAUSE_S))
        raise ChannelError(told)

    def _attempt(self, client: httpx.Client, sent: bytes) -> tuple[str, float | None]:
        """("", None) if it arrived; else what went wrong, and after how long it may be tried again (None: never)."""
        started, body = time.monotonic(), b""
        try:
            headers = {"Content-Type": "application/json", **self._headers(sent)}
            with client.stream("POST", _PLACEHOLDER, content=sent, headers=headers) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES or time.monotonic() - started > DEADLINE_S:
                        break  # the status is known; nobody needs the rest
        except httpx.TimeoutException:
            return "no answer in time", 0.0
        except RefusedAddress:
            return "the address is private: BALLAST_WEBHOOK_PRIVATE=1 would allow it", None
        except (httpx.ConnectError, httpx.ProxyError):
            return "cannot connect", 0.0
        except httpx.HTTPError as error:
            return f"the connection broke ({type(error).__name__})", 0.0
        status = response.status_code
        if 200 <= status < 300:
            return ("", None) if self._accepted(body.decode(errors="replace")) else ("the answer says no", None)
        if 300 <= status < 400:
            return f"HTTP {status}: redirects are not followed, set the new address", None
        if status == 429 or status >= 500:
            return f"HTTP {status}", _patience_s(response)
        return f"HTTP {status}: refused, look at the address and its key", None


def _patience_s(response: httpx.Response) -> float:
    header = response.headers.get("retry-after", "")
    # Seconds only: a date would need the clock, and the longest pause here is shorter than any date is worth.
    return float(header) if header.isascii() and header.isdigit() else 0.0
