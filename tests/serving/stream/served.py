"""A real server in a thread, and a client that reads Server-Sent Events: an endless answer needs both."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

PATIENCE_S = 60.0


@dataclass
class Served:
    """`app` runs behind `url` in its own thread and event loop."""

    app: FastAPI
    url: str

    @contextmanager
    def listen(self, last: str | None = None, **asked: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Blocks of the stream, parsed. `last`: the header Last-Event-ID."""
        headers = {"Last-Event-ID": last} if last is not None else {}
        with (
            httpx.Client(base_url=self.url, timeout=PATIENCE_S) as client,
            client.stream("GET", "/v1/stream", params=asked, headers=headers) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield blocks(answer.iter_lines())


@contextmanager
def served(app: FastAPI) -> Iterator[Served]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started)
        try:
            yield Served(app, f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            app.state.hub.let_go()  # what a signal does to a server in the main thread
            server.should_exit = True
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "open streams hold no server up"


def blocks(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Fields of each block: `event`, `id`, `retry`, `comment`; `data` as JSON."""
    found: dict[str, Any] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            found[name or "comment"] = value
        elif found:
            yield found | ({"data": json.loads(found["data"])} if "data" in found else {})
            found = {}


def events(stream: Iterator[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """The next events; heartbeats in between are left out."""
    found: list[Mapping[str, Any]] = []
    while len(found) < count:
        told = next(stream)
        if "event" in told:
            found.append(told)
    return found


def until(fact: Any) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
