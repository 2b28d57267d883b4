"""A small market of its own for whole-graph tests: one coin, one currency, one vault, on the session's server."""

from __future__ import annotations

import random
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from orchestration.local import processes
from orchestration.local.database import workspace_databases
from orchestration.resources.database_url import with_database
from orchestration.settings import DEFAULT_UNIVERSE, Settings, load_settings

SERIES = {"BTC", "USDNGN:official", "USDTNGN:street"}
LEGS = {"USDC": "0.50", "BTC": "0.30", "cNGN": "0.20"}


@dataclass(frozen=True)
class SmallMarket:
    """`variables` make a child process play the same market."""

    settings: Settings
    variables: dict[str, str]

    @property
    def url(self) -> str:
        return workspace_databases(self.settings).ballast


def small_universe(path: Path) -> Path:
    universe = yaml.safe_load(DEFAULT_UNIVERSE.read_text(encoding="utf-8"))
    universe["simulated"]["series"] = [s for s in universe["simulated"]["series"] if s["id"] in SERIES]
    for vault in universe["vaults"]:
        vault["assets"] = [a | {"base_weight": LEGS[a["symbol"]]} for a in vault["assets"] if a["symbol"] in LEGS]
    path.write_text(yaml.safe_dump(universe, sort_keys=False), encoding="utf-8")
    return path


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, away from the range that the system hands out by itself."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


@pytest.fixture
def small_market(server_url: str, tmp_path: Path) -> Iterator[SmallMarket]:
    prefix = f"e2e_{uuid.uuid4().hex[:8]}"
    ports = ("DAGSTER", "MLFLOW", "API", "DEVNET", "CODE")
    variables = {
        "DATABASE_URL": with_database(server_url, prefix),
        "BALLAST_STATE": str(tmp_path / "state"),
        "BALLAST_UNIVERSE": str(small_universe(tmp_path / "universe.yaml")),
        "BALLAST_DEVNET_LEDGER_CLOSE_S": "0.2",
        **{f"BALLAST_{name}_PORT": str(port) for name, port in zip(ports, free_ports(5), strict=True)},
    }
    market = SmallMarket(load_settings(variables), variables)
    try:
        yield market
    finally:
        processes.end(processes.marked(market.settings.workspace), patience_s=5)
        server = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        databases = workspace_databases(market.settings)
        with server.connect() as connection:
            for url in (databases.ballast, databases.dagster, databases.mlflow):
                name = url.partition("?")[0].rpartition("/")[2]
                connection.execute(text(f'drop database if exists "{name}" with (force)'))
