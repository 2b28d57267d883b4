"""One client on one connection that asks for the same path again and again: how often and how fast it is answered."""

from __future__ import annotations

import http.client
import itertools
import time
from typing import Any

from orchestration.bench.figures import figure, percentile

API_PATH = "/v1/risk/current"
BARE_PATH = "/bare"  # of orchestration.bench.bare_app


class LoadError(RuntimeError):
    """The server did not answer as it should; the message holds its words."""


def ask(host: str, port: int, path: str, *, seconds: float | None = None, requests: int | None = None) -> list[float]:
    """Seconds of each request, one after the other, until either limit is met. Raises LoadError unless all are 200."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    spent: list[float] = []
    deadline = time.perf_counter() + seconds if seconds is not None else float("inf")
    try:
        for number in itertools.count():
            began = time.perf_counter()
            if began >= deadline or number == requests:
                return spent
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            spent.append(time.perf_counter() - began)
            if answer.status != 200:
                raise LoadError(f"GET {path} answered {answer.status}: {body[:200].decode(errors='replace')}")
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
