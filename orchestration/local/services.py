"""The processes of `ballast up`, as a table: how each is started, when it is ready, where it answers.

Pure. Starting and watching them is `orchestration.local.supervisor`.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass

from orchestration.folders import artifacts, dagster_home
from orchestration.settings import LOOPBACK, Settings


@dataclass(frozen=True, slots=True)
class Service:
    """`port` None: the process listens on nothing and is ready once it has lived for a moment.

    `probe`: HTTP path that answers below 500 when ready; None: an open port is enough. `variable` names the port's
    setting. `after`: services that must be ready first. `page`: what a person opens, None if nothing is to be seen.
    """

    name: str
    title: str
    argv: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int | None = None
    variable: str | None = None
    probe: str | None = None
    after: tuple[str, ...] = ()
    page: str | None = None

    @property
    def url(self) -> str | None:
        return None if self.port is None else f"http://{reachable(self.host)}:{self.port}"


def reachable(host: str) -> str:
    """An address to connect to: a wildcard address is only for listening."""
    return "127.0.0.1" if host in ("0.0.0.0", "", "::") else host


def _module(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


def _listening(settings: Settings, found_at: str) -> str:
    """Where a service listens that others find at `found_at`: nowhere but here unless they look elsewhere."""
    return LOOPBACK if found_at == LOOPBACK else settings.host


def _code_server(settings: Settings) -> Service:
    host = _listening(settings, settings.code_host)
    return Service(
        name="dagster-code",
        title="Dagster code server",
        argv=_module(
            "dagster", "api", "grpc", "--module-name", "orchestration.definitions",
            "--host", host, "--port", str(settings.code_port), "--location-name", "ballast",
            "--use-python-environment-entry-point", "--log-level", "warning",
        ),
        host=host,
        port=settings.code_port,
        variable="BALLAST_CODE_PORT",
    )  # fmt: skip


def _webserver(settings: Settings, workspace: str) -> Service:
    return Service(
        name="dagster",
        title="Dagster",
        argv=_module(
            "dagster_webserver", "--host", settings.host, "--port", str(settings.dagster_port),
            "--workspace", workspace, "--dagster-log-level", "warning",
        ),
        host=settings.host,
        port=settings.dagster_port,
        variable="BALLAST_DAGSTER_PORT",
        probe="/server_info",
        after=("dagster-code",),
        page="/",
    )  # fmt: skip


def _daemon(workspace: str) -> Service:
    return Service(
        name="dagster-daemon",
        title="Dagster daemon",
        argv=_module("dagster._daemon", "run", "--workspace", workspace, "--log-level", "warning"),
        after=("dagster-code",),
    )


def _mlflow(settings: Settings) -> Service:
    host, port = settings.host, settings.mlflow_port
    names = dict.fromkeys([reachable(host), "127.0.0.1", "localhost"])
    return Service(
        name="mlflow",
        title="MLflow",
        argv=_module(
            # Its store addresses come from the environment: an argument would show a password in the process list.
            "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1",
            "--uvicorn-opts", "--no-access-log --log-level warning",
            "--artifacts-destination", str(artifacts(settings)),
            # Its middleware refuses unknown Host headers, ports included; it stays on.
            "--allowed-hosts", ",".join(f"{name}:{port}" for name in names),
            "--cors-allowed-origins", ",".join(f"http://{name}:{port}" for name in names),
        ),
        host=host,
        port=port,
        variable="BALLAST_MLFLOW_PORT",
        probe="/health",
        page="/",
    )  # fmt: skip


def _api(settings: Settings) -> Service:
    return Service(
        name="api",
        title="API",
        argv=_module(
            "uvicorn", "serving.app:create_app", "--factory", "--host", settings.host,
            "--port", str(settings.api_port), "--log-level", "warning", "--no-access-log",
        ),
        host=settings.host,
        port=settings.api_port,
        variable="BALLAST_API_PORT",
        probe="/live",
        page="/",
    )  # fmt: skip


def devnet_seed(settings: Settings) -> int:
    """Seed of this market's chain: its contracts have addresses of their own, and nobody mistakes it for another."""
    return zlib.crc32(settings.market.slug.encode())


def _devnet(settings: Settings) -> Service:
    host = _listening(settings, settings.devnet_host)
    return Service(
        name="devnet",
        title="devnet",
        argv=_module(
            "keeper.devnet", "--host", host, "--port", str(settings.devnet_port),
            "--state", str(settings.workspace / "devnet.json"),
            "--ledger-close-s", f"{settings.devnet_ledger_close_s:g}", "--seed", str(devnet_seed(settings)),
        ),
        host=host,
        port=settings.devnet_port,
        variable="BALLAST_DEVNET_PORT",
    )  # fmt: skip


def service_table(settings: Settings) -> list[Service]:
    """All services in the order in which they are started."""
    workspace = str(dagster_home(settings) / "workspace.yaml")
    return [
        _devnet(settings),
        _api(settings),
        _code_server(settings),
        _mlflow(settings),
        _webserver(settings, workspace),
        _daemon(workspace),
    ]
