"""HTTP with one provider: time-outs, retries, budget, circuit, typed errors, and keys that never show.

A key joins the request inside the transport, after everything that logs or remembers a request has seen it without
one, and answers are redacted before anybody parses them. Redirects are not followed.
Not here: what an answer means (each provider's own file).
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from orchestration.settings import Secret
from orchestration.sources.budget import Budget
from orchestration.sources.circuit import Circuit
from orchestration.sources.egress import Egress
from orchestration.sources.errors import (
    MAX_WAIT_S,
    BadKey,
    BannedAddress,
    Outage,
    PlanRestriction,
    ProviderError,
    QuotaExceeded,
    Reaction,
    SchemaDrift,
    Unreachable,
)

ATTEMPTS = 3
BACK_OFF_S = 0.5  # doubled with every attempt, then shortened by a random factor
DEADLINE_S = 60.0  # of a whole answer: a server that drips bytes keeps every single read within its time-out
MAX_BODY_BYTES = 16 * 2**20  # the largest real answer is under 1 MB
_KEY = "ballast_key"
_MIN_KEY_LENGTH = 4  # shorter texts occur in any answer by chance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlacedKey:
    """A provider key and where it belongs: a query parameter, a header, or the path segment called `name`."""

    secret: Secret
    place: Literal["query", "header", "path"]
    name: str
    prefix: str = ""

    @property
    def readable(self) -> bool:
        """Whether the key can travel in a request; libraries quote an unreadable one in their errors."""
        text = self.secret.reveal()
        return text.isascii() and text.isprintable() and bool(text) and " " not in text

    def joined(self, request: httpx.Request) -> httpx.Request:
        """A copy of the request that holds the key."""
        url, headers, text = request.url, request.headers.copy(), self.secret.reveal()
        if self.place == "query":
            url = url.copy_merge_params({self.name: text})
        elif self.place == "header":
            headers[self.name] = self.prefix + text
        else:
            raw = request.url.raw_path.replace(f"/{self.name}/".encode(), f"/{quote(text, safe='')}/".encode())
            url = url.copy_with(raw_path=raw)
        return httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=request.extensions)

    def redact(self, text: str) -> str:
        secret = self.secret.reveal()
        if len(secret) < _MIN_KEY_LENGTH:
            return text
        for form in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}:
            text = text.replace(form, "***")
        return text


class KeyTransport(httpx.BaseTransport):
    """Adds the key on the last metre: the client, its log lines and its exceptions hold the request without it."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        key = request.extensions.get(_KEY)
        return self._inner.handle_request(key.joined(request) if isinstance(key, PlacedKey) else request)

    def close(self) -> None:
        self._inner.close()


def new_client(transport: httpx.BaseTransport | None = None, timeout_s: float = 10.0) -> httpx.Client:
    # Debug lines quote response headers, and a redirect may repeat the key in one; a base URL may hold a password.
    for chatty in ("httpcore", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return httpx.Client(
        transport=KeyTransport(transport or Egress()),
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
        follow_redirects=False,
        headers={"User-Agent": "ballast", "Accept": "application/json"},
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """A redacted answer. `body` is parsed JSON with decimal numbers, or None where `text` is not JSON."""

    status: int
    headers: Mapping[str, str]
    text: str
    body: Any


# Reads the provider's own errors out of a reply, whatever the status says; None: no error of its own. It is not
# asked about redirects, server errors and texts that are not JSON.
Judge = Callable[[Reply], ProviderError | None]


class ProviderHttp:
    """Requests to one provider. Every method returns parsed JSON or raises a ProviderError."""

    def __init__(
        self,
        provider: str,
        base_url: str,
        client: httpx.Client,
        *,
        circuit: Circuit,
        budget: Budget,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        rng: random.Random,
        key: PlacedKey | None = None,
    ) -> None:
        self.provider, self.budget = provider, budget
        self.has_key = key is not None
        self._base_url = base_url.rstrip("/")
        self._client, self._circuit, self._key = client, circuit, key
        self._clock, self._sleep, self._rng = clock, sleep, rng

    def get(
        self, path: str, params: Mapping[str, str | int], judge: Judge, parse: Callable[[Any], T], cost: int = 1
    ) -> T:
        return self._call("GET", path, judge, parse, cost, params=dict(params))

    def post(self, path: str, content: Mapping[str, Any], judge: Judge, parse: Callable[[Any], T], cost: int = 1) -> T:
        return self._call("POST", path, judge, parse, cost, json=dict(content))

    def _call(self, method: str, path: str, judge: Judge, parse: Callable[[Any], T], cost: int, **content: Any) -> T:
        if self._key is not None and not self._key.readable:
            raise BadKey(self.provider, "the configured key holds spaces or characters no key has")
        self._circuit.check()
        attempts = 1 if self._circuit.half_open else ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                value = parse(self._attempt(method, path, judge, cost, content))
            except ProviderError as error:
                if error.reaction is Reaction.RETRY and attempt < attempts:
                    self._sleep(self._pause_s(error, attempt))
                    continue
                self._circuit.failure(error)
                raise
            self._circuit.success()
            return value
        raise AssertionError("the last attempt returns or raises")

    def _pause_s(self, error: ProviderError, attempt: int) -> float:
        back_off: float = BACK_OFF_S * 2**attempt * (0.5 + self._rng.random() / 2)
        # A little after the moment that the provider named, never before it.
        return back_off if error.retry_after_s is None else min(error.retry_after_s, MAX_WAIT_S) + back_off

    def _attempt(self, method: str, path: str, judge: Judge, cost: int, content: dict[str, Any]) -> Any:
        self.budget.spend(cost)
        try:
            reply = self._send(method, path, content)
        except Unreachable:
            self.budget.give_back(cost)
            raise
        error = judged(self.provider, reply, judge, self.has_key)
        if error is None:
            return reply.body
        if error.retry_after_s is None:
            error.retry_after_s = retry_after_s(reply.headers.get("retry-after"), self._clock())
        if error.retry_after_s is None and isinstance(error, BannedAddress) and error.until is not None:
            error.retry_after_s = max((error.until - self._clock()).total_seconds(), 0.0)
        raise error

    def _send(self, method: str, path: str, content: dict[str, Any]) -> Reply:
        started, raw, failure, kind = self._clock(), bytearray(), None, Outage
        extensions = {_KEY: self._key} if self._key else {}
        try:
            with self._client.stream(method, self._base_url + path, extensions=extensions, **content) as response:
                for chunk in response.iter_bytes():
                    raw += chunk
                    if len(raw) > MAX_BODY_BYTES:
                        raise Outage(self.provider, f"answer is longer than {MAX_BODY_BYTES} bytes")
                    if self._clock() - started > timedelta(seconds=DEADLINE_S):
                        raise Outage(self.provider, f"answer was not complete after {DEADLINE_S:g} s")
        except (httpx.ConnectError, httpx.ConnectTimeout):
            failure, kind = "cannot connect", Unreachable
        except httpx.ProxyError:
            failure, kind = "the proxy that HTTPS_PROXY or HTTP_PROXY names refuses or cannot be used", Unreachable
        except httpx.TimeoutException:
            failure = "no answer in time"
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            failure = "the configured base URL is not an http(s) URL"
        except httpx.HTTPError as error:
            failure = f"connection broke ({type(error).__name__})"
        if failure is not None:
            # Outside of the handler, hence without a chain: the transport's frames hold the request with the key.
            raise kind(self.provider, failure)
        text = raw.decode(errors="replace")
        text = self._key.redact(text) if self._key else text
        return Reply(response.status_code, response.headers, text, parsed(text))


def parsed(text: str) -> Any:
    """JSON with every fraction as Decimal; None where the text is not JSON (JSON's own null is no answer either)."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError, RecursionError):  # an exponent can be too large even for a Decimal
        return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def judged(provider: str, reply: Reply, judge: Judge, has_key: bool) -> ProviderError | None:
    """The error that a reply means, the provider's own reading first."""
    status, text = reply.status, reply.text
    if 300 <= status < 400:
        return SchemaDrift(provider, f"HTTP {status}: the service moved; redirects are not followed, set its base URL")
    if status >= 500:
        return Outage(provider, f"HTTP {status}")
    own = judge(reply) if reply.body is not None else None
    if own is not None:
        return own
    if status in (418, 451):
        return BannedAddress(provider, f"HTTP {status}: this address is refused")
    if status == 429:
        return QuotaExceeded(provider, "HTTP 429: too many requests")
    if status == 401:
        return BadKey(provider, "HTTP 401: the key is refused")
    if status == 403:
        refusal = PlanRestriction if has_key else BannedAddress
        return refusal(provider, "HTTP 403: the request is refused")
    if status >= 400:
        return SchemaDrift(provider, f"HTTP {status}: the request is not understood")
    if reply.body is not None:
        return None
    if text.lstrip().startswith("<"):
        return SchemaDrift(provider, "a web page or XML came instead of JSON")
    return Outage(provider, "empty answer" if not text.strip() else "answer is not complete JSON")


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header (seconds or HTTP date) asks for; None where it is absent or unreadable."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max((moment - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):  # a year or an offset that no clock has
        return None


def checked(provider: str, model: type[T], body: Any) -> T:
    """`body` as `model` (a pydantic model or any type). Raises SchemaDrift naming the first fields, not the values."""
    try:
        return TypeAdapter(model).validate_python(body)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
    named = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'answer'}: {f['msg']}" for f in faults[:3])
    raise SchemaDrift(provider, f"unexpected answer ({named})")
