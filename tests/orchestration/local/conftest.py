"""Fixtures of the command line: settings whose ports nobody uses, on the test server or without any server."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.settings import ALERT_SECRET_VARIABLES, SECRET_VARIABLES

SECRETS = {name + suffix for name in (*SECRET_VARIABLES, *ALERT_SECRET_VARIABLES) for suffix in ("", "_FILE")}
PORT_VARIABLES = (
    "BALLAST_DAGSTER_PORT", "BALLAST_MLFLOW_PORT", "BALLAST_API_PORT", "BALLAST_DEVNET_PORT", "BALLAST_CODE_PORT",
)  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Distinct ports that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables of the process; a state folder and ports of its own come with it, the developer's stay out."""
    for name in [name for name in os.environ if name.startswith("BALLAST_") or name in ("DATABASE_URL", *SECRETS)]:
        monkeypatch.delenv(name)

    def put(**variables: str) -> None:
        ports = dict(zip(PORT_VARIABLES, map(str, free_ports(len(PORT_VARIABLES))), strict=True))
        for name, value in {"BALLAST_STATE": str(tmp_path / "state"), **ports, **variables}.items():
            monkeypatch.setenv(name, value)

    put()
    return put
