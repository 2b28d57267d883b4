"""A server process that is told to stop while somebody listens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from sqlalchemy import Engine

from tests.end_to_end.conftest import free_ports
from tests.serving.conftest import set_clock
from tests.serving.stream.served import PATIENCE_S, blocks, until

PROJECT = Path(__file__).parents[3]


def test_a_signal_ends_streams_and_process(serving_url: str, writer: Engine) -> None:
    set_clock(writer)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "serving.app:create_app", "--factory", "--port", str(port),
               "--log-level", "error"]  # fmt: skip
    environment = os.environ | {"BALLAST_SERVING_DATABASE_URL": serving_url, "BALLAST_SERVING_PUBLIC_READ": "on"}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: _answers(port))
            with httpx.stream("GET", f"http://127.0.0.1:{port}/v1/stream", timeout=PATIENCE_S) as answer:
                stream = blocks(answer.iter_lines())
                next(stream)
                process.send_signal(signal.SIGTERM)
                assert list(stream) == []
            assert process.wait(PATIENCE_S) in (0, -signal.SIGTERM)
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/live").status_code == 200
    except httpx.TransportError:
        return False
