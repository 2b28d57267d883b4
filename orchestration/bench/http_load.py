"""One client on one connection that asks for the same path again and again: how often and how fast it is answered."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from typing import Any

from orchestration.bench.figures import figure, percentile

API_PATH = "/v1/risk/current"
BARE_PATH = "/bare"  # of orchestration.bench.bare_app
_TIMEOUT_S = 30


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


def _answer(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise LoadError(f"GET {path} answered {answer.status}: {body[:200].decode(errors='replace')}")
    return body
