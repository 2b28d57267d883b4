"""The devnet over HTTP, with a thread that closes ledgers. `python -m keeper.devnet` runs it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from keeper.devnet.chain import Chain
from keeper.devnet.rpc import Rpc
from keeper.devnet.state import StateError
from keeper.devnet.transport import Answering, ConnectionDropped, Faults, Hanging, Instead, answer

MAX_BODY_BYTES = 1_000_000


class DevnetServer:
    """A running devnet. `port` 0 takes a free one; `url` says which.

    Raises
    ------
    OSError
        If the port is taken.
    StateError
        If the state file is not one of ours.
    """

    def __init__(
        self, host: str, port: int, state: Path, ledger_close_s: float, seed: int, faults: Faults | None = None
    ) -> None:
        self._spacing_s = ledger_close_s
        self._stop = threading.Event()
        # The port first: a second process on the same state file must not touch it.
        handler = _handler(faults or Faults())
        self._http = ThreadingHTTPServer((host, port), handler)
        try:
            self.chain = Chain(time.time, state, ledger_close_s, seed)
        except StateError:
            self._http.server_close()
            raise
        handler.rpc = Rpc(self.chain)
        self._threads = [
            threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, name="devnet-http"),
            threading.Thread(target=self._close_ledgers, name="devnet-ledgers"),
        ]

    @property
    def url(self) -> str:
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop both threads and write the state."""
        self._stop.set()
        self._http.shutdown()
        for thread in self._threads:
            thread.join()
        self._http.server_close()
        with self.chain.lock:
            self.chain.save()

    def _close_ledgers(self) -> None:
        due = time.monotonic() + self._spacing_s
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            with self.chain.lock:
                self.chain.close_ledger()
            due = max(due + self._spacing_s, time.monotonic())


class _Handler(BaseHTTPRequestHandler):
    rpc: Answering
    protocol_version = "HTTP/1.1"
    timeout = 30  # a client that stalls must not hold a thread for ever


def _handler(faults: Faults) -> type[_Handler]:
    class Handler(_Handler):
        def do_POST(self) -> None:
            stated = self.headers.get("Content-Length", "")
            length = int(stated) if stated.isascii() and stated.isdigit() else 0
            if not 0 < length <= MAX_BODY_BYTES:
                self.close_connection = True  # what follows is a body that nobody reads
                self._reply(413, json.dumps({"error": "body too large or missing"}))
                return
            try:
                body = answer(self.rpc, self.rfile.read(length).decode("utf-8", "replace"), faults)
            except Hanging as hang:
                time.sleep(hang.seconds)
                self.close_connection = True
                return
            except ConnectionDropped:
                self.close_connection = True
                return
            except Instead as other:
                self._reply(other.status, other.text)
                return
            self._reply(200, body)

        def do_GET(self) -> None:
            """Liveness for a supervisor: the health answer."""
            body = self.rpc.handle({"jsonrpc": "2.0", "id": 1, "method": "getHealth"})
            self._reply(200 if "result" in body else 503, json.dumps(body))

        def _reply(self, status: int, body: str) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not worth a line each."""

    return Handler
