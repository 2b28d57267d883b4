"""A small market for whole-graph tests: one coin, one currency, one vault, on a server and a disk of its own."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from orchestration.local import embedded_postgres, processes
from orchestration.local.database import workspace_databases
from orchestration.local.embedded_postgres import Cluster
from orchestration.resources.database_url import with_database
from orchestration.settings import DEFAULT_UNIVERSE, Settings, load_settings
from tests.end_to_end.broken_disk import BreakableDisk, breakable_disk

SERIES = {"BTC", "USDNGN:official", "USDTNGN:street"}
LEGS = {"USDC": "0.50", "BTC": "0.30", "cNGN": "0.20"}


@dataclass(frozen=True)
class SmallMarket:
    """`variables` make a child process play the same market. Server and state folder are on one breakable disk."""

    settings: Settings
    variables: dict[str, str]
    disk: BreakableDisk
    server: Cluster

    def start_server(self) -> None:
        embedded_postgres.start(self.server, durable=False, environment=self.disk.variables)

    def lose_server(self) -> None:
        """As a crash does: no connection is told."""
        pid = embedded_postgres.server_pid(self.server)
        assert pid is not None
        lost = processes.family(pid)
        for process in lost:
            process.kill()
        psutil.wait_procs(lost, timeout=10)

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
def small_market(fast_folder: Path) -> Iterator[SmallMarket]:
    disk = breakable_disk(fast_folder)
    server = Cluster(disk.root / "postgres")
    ports = ("DAGSTER", "MLFLOW", "API", "DEVNET", "CODE")
    variables = {
        "DATABASE_URL": with_database(server.url, "small"),
        "BALLAST_STATE": str(disk.root / "state"),
        "BALLAST_UNIVERSE": str(small_universe(fast_folder / "universe.yaml")),
        "BALLAST_DEVNET_LEDGER_CLOSE_S": "0.2",
        **{f"BALLAST_{name}_PORT": str(port) for name, port in zip(ports, free_ports(5), strict=True)},
    }
    market = SmallMarket(load_settings(variables), {**variables, **disk.variables}, disk, server)
    try:
        market.start_server()
        yield market
    finally:
        disk.heal()
        processes.end(processes.marked(market.settings.workspace), patience_s=5)
        embedded_postgres.stop(server)
