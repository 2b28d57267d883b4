"""Clients that ask for the same path again and again: one after the other, as fast as answers come; or at a fixed rate
whether answers come or not. And one that posts bodies."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestration.bench.figures import figure, percentile

API_PATH = "/v1/risk/current"
BARE_PATH = "/bare"  # of orchestration.bench.bare_app
SIMULATE_PATH = "/v1/risk/simulate"
_TIMEOUT_S = 30
_HEAD_START_S = 0.05  # until the threads run


class LoadError(RuntimeError):
    """The server did not answer as it should; the message holds its words."""


def get(host: str, port: int, path: str) -> bytes:
    """One answer on a connection of its own. Raises LoadError unless it is a 200."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        return _answer(connection, path)
    finally:
        connection.close()


def ask(host: str, port: int, path: str, *, seconds: float | None = None, requests: int | None = None) -> list[float]:
    """Seconds of each request, one after the other, until either limit is met. Raises LoadError unless all are 200."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    spent: list[float] = []
    deadline = time.perf_counter() + seconds if seconds is not None else float("inf")
    try:
        for number in itertools.count():
            began = time.perf_counter()
            if began >= deadline or number == requests:
                return spent
            _answer(connection, path)
            spent.append(time.perf_counter() - began)
    finally:
        connection.close()
    return spent


def at_rate(host: str, port: int, path: str, rate: float, seconds: float, connections: int = 16) -> list[float]:
    """Seconds from when each request was due to its answer, `rate` of them a second for so long.

    A request that is due while all connections wait is sent late, and its waiting counts: a server that stands still
    for a moment is charged for all that would have come meanwhile. Raises LoadError unless all are answered with 200.
    """
    numbers, failed = itertools.count(), threading.Event()
    spent = [0.0] * int(rate * seconds)
    began = time.perf_counter() + _HEAD_START_S

    def ask_in_turn() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        try:
            while (number := next(numbers)) < len(spent) and not failed.is_set():
                due = began + number / rate
                time.sleep(max(0.0, due - time.perf_counter()))
                _answer(connection, path)
                spent[number] = time.perf_counter() - due
        except Exception:
            failed.set()
            raise
        finally:
            connection.close()

    with ThreadPoolExecutor(connections) as pool:
        for asked in [pool.submit(ask_in_turn) for _ in range(connections)]:
            asked.result()
    return spent


def post(host: str, port: int, path: str, bodies: Iterable[Mapping[str, Any]], key: str = "") -> list[float]:
    """Seconds of each POST with a key of the API, one after the other. Raises LoadError unless all are answered at
    once, with 200."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    spent = []
    try:
        for body in bodies:
            began = time.perf_counter()
            _answer(connection, path, json.dumps(body), key)
            spent.append(time.perf_counter() - began)
    finally:
        connection.close()
    return spent


def percentiles(spent: Sequence[float]) -> dict[str, Any]:
    """p50, p95, p99 and the longest."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: figure(1000 * percentile(spent, share), "ms") for name, share in shares.items()}


def report(spent: list[float]) -> dict[str, Any]:
    """What a list of seconds says."""
    return {
        "requests": figure(len(spent), "requests"),
        "rate": figure(len(spent) / sum(spent), "requests/s"),
        "p50": figure(1000 * percentile(spent, 0.5), "ms"),
        "p99": figure(1000 * percentile(spent, 0.99), "ms"),
    }


def scores_of(answer: bytes) -> dict[str, Any]:
    """How much an answer of API_PATH holds. Raises LoadError when none of its scores has a number."""
    scores = json.loads(answer)["scores"]
    numbers = sum(score["score"] is not None for score in scores)
    if not numbers:
        raise LoadError(f"GET {API_PATH} answered {len(scores)} scores, none of them with a number")
    return {
        "scores_with_a_number": figure(numbers, f"of {len(scores)} scores"),
        "answer": figure(len(answer) / 1000, "kB"),
    }


def _answer(connection: http.client.HTTPConnection, path: str, sent: str | None = None, key: str = "") -> bytes:
    method = "GET" if sent is None else "POST"
    headers = {} if sent is None else {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    connection.request(method, path, sent, headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise LoadError(f"{method} {path} answered {answer.status}: {body[:200].decode(errors='replace')}")
    return body
