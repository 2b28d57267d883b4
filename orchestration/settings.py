"""Settings: the only place that reads the environment. Read once, validated, frozen, passed on.

A process calls `current_settings()` once; everything else receives a `Settings`. Messages name the variable. What a
group of variables means is in `orchestration.configuration`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from keeper.signing.choose import SignerChoice
from models.contracts.log_lines import LOG_VARIABLES, LogChoice, log_choice
from orchestration.configuration.keeper import KeeperSettings, keeper_environment, keeper_settings, signer_settings
from orchestration.configuration.market import MarketChoice, parse_market
from orchestration.configuration.metrics import METRICS_VARIABLE, MetricsTarget, metrics_target
from orchestration.configuration.names import (
    ALERT_OPTIONS,
    ALERT_SECRET_VARIABLES,
    PROVIDER_URL_PREFIX,
    SECRET_VARIABLES,
    WEBHOOK_KEY_PREFIX,
    is_known,
    refuse_unknown,
    webhook_keys,
)
from orchestration.configuration.values import Secret, SettingsError, number, secrets_in

__all__ = [
    "ALERT_OPTIONS",
    "ALERT_SECRET_VARIABLES",
    "DEFAULT_UNIVERSE",
    "LOOPBACK",
    "PROJECT_ROOT",
    "SECRET_VARIABLES",
    "WEBHOOK_KEY_PREFIX",
    "MarketChoice",
    "Secret",
    "Settings",
    "SettingsError",
    "as_environment",
    "child_environment",
    "current_settings",
    "export",
    "is_known",
    "load_settings",
    "parse_market",
    "port_variables",
    "vault_token",
]

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
STEPS = ("process", "pods")
DEFAULT_UNIVERSE = Path(__file__).resolve().parent / "universe.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    market: MarketChoice
    state_root: Path  # embedded server and all workspaces
    database_url: str | None  # None: the embedded server
    universe_path: Path
    seed: int
    clock_speed: float  # market seconds per wall second, simulated and replay only
    host: str
    dagster_port: int
    mlflow_port: int
    api_port: int
    devnet_port: int
    code_port: int  # Dagster's code server: the UI and the daemon share one
    code_host: str  # where they find it; loopback: it listens on nothing else
    devnet_host: str  # where the keeper finds the embedded chain, likewise
    devnet_ledger_close_s: float
    steps: str  # where steps of a training run: in the process of their run, or in pods of their own
    archive: Path | None  # folder that old history is copied to before housekeeping deletes it; None: it is not
    threads: int
    ray_address: str | None  # of a cluster that shares folds and fits; None: processes of this machine
    secrets: Mapping[str, Secret]
    alert_options: Mapping[str, str]  # BALLAST_ALERT_* that are set, by their whole name
    provider_urls: Mapping[str, str]  # provider name -> base URL, for tests and mirrors
    keeper: KeeperSettings = field(default_factory=KeeperSettings)  # network, nodes, account, contracts, caps
    public_read: str = "on"  # whether the API answers readers without a key: on or off
    log: LogChoice = field(default_factory=LogChoice)
    metrics: MetricsTarget | None = None  # where the metrics of the jobs go; None: nowhere
    signer: SignerChoice = field(default_factory=SignerChoice)  # which key signs; nothing secret in it
    webhook_private: bool = False  # whether webhooks may lead to this machine and private nets

    @property
    def workspace(self) -> Path:
        """Everything of this market that is not in the database: Dagster home, artefacts, devnet, logs."""
        return self.state_root / self.market.slug


def vault_token() -> str | None:
    """Token of the key service, read anew: an agent replaces its file. VAULT_TOKEN, or the file of VAULT_TOKEN_FILE."""
    found = secrets_in(os.environ, ("VAULT_TOKEN",)).get("VAULT_TOKEN")
    return found.reveal() if found else None


def load_settings(env: Mapping[str, str]) -> Settings:
    """Build settings from environment variables. Raises SettingsError naming the first wrong one."""
    held = secrets_in(env, ("DATABASE_URL",)).get("DATABASE_URL")
    url = held.reveal() if held else None
    if url is not None and urlsplit(url).scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise SettingsError("DATABASE_URL: only postgresql:// URLs are understood")
    refuse_unknown(env)
    prefix = PROVIDER_URL_PREFIX
    settings = Settings(
        market=parse_market(env.get("BALLAST_MARKET") or "simulated"),
        state_root=Path(env.get("BALLAST_STATE") or PROJECT_ROOT / ".ballast").expanduser().resolve(),
        database_url=url,
        universe_path=Path(env.get("BALLAST_UNIVERSE") or DEFAULT_UNIVERSE).expanduser().resolve(),
        seed=int(number(env, "BALLAST_SEED", 7, 0, 2**31)),
        clock_speed=number(env, "BALLAST_CLOCK_SPEED", 1, 1, 86_400),
        host=env.get("BALLAST_HOST") or "127.0.0.1",
        dagster_port=int(number(env, "BALLAST_DAGSTER_PORT", 3000, 1, 65535)),
        mlflow_port=int(number(env, "BALLAST_MLFLOW_PORT", 5000, 1, 65535)),
        api_port=int(number(env, "BALLAST_API_PORT", 8000, 1, 65535)),
        devnet_port=int(number(env, "BALLAST_DEVNET_PORT", 8400, 1, 65535)),
        code_port=int(number(env, "BALLAST_CODE_PORT", 4266, 1, 65535)),
        code_host=env.get("BALLAST_CODE_HOST") or LOOPBACK,
        devnet_host=env.get("BALLAST_DEVNET_HOST") or LOOPBACK,
        devnet_ledger_close_s=number(env, "BALLAST_DEVNET_LEDGER_CLOSE_S", 1, 0.05, 60),
        steps=_steps(env.get("BALLAST_STEPS") or STEPS[0]),
        archive=Path(env["BALLAST_ARCHIVE"]).expanduser().resolve() if env.get("BALLAST_ARCHIVE") else None,
        threads=int(number(env, "BALLAST_THREADS", 2, 1, 256)),
        ray_address=env.get("BALLAST_RAY_ADDRESS") or None,
        secrets=secrets_in(env, SECRET_VARIABLES + ALERT_SECRET_VARIABLES + webhook_keys(env)),
        alert_options={name: env[name] for name in ALERT_OPTIONS if env.get(name)},
        provider_urls={k.removeprefix(prefix).lower(): v for k, v in env.items() if k.startswith(prefix)},
        keeper=keeper_settings(env),
        log=_log_choice(env),
        metrics=metrics_target(env.get(METRICS_VARIABLE)),
        signer=signer_settings(env),
        webhook_private=number(env, "BALLAST_WEBHOOK_PRIVATE", 0, 0, 1) > 0,
        public_read=env.get("BALLAST_SERVING_PUBLIC_READ") or _on_loopback(env.get("BALLAST_HOST")),
    )
    _refuse_shared_ports(settings)
    return settings


def _on_loopback(host: str | None) -> str:
    """Who may read without a key unless it is said: everybody on this machine, nobody from elsewhere."""
    return "on" if (host or "127.0.0.1") in ("127.0.0.1", "localhost", "::1") else "off"


def _log_choice(env: Mapping[str, str]) -> LogChoice:
    try:
        return log_choice(env)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _steps(said: str) -> str:
    if said not in STEPS:
        raise SettingsError(f"BALLAST_STEPS: {said!r} is not one of {', '.join(STEPS)}")
    return said


def port_variables(settings: Settings) -> dict[str, int]:
    """Variable name -> port, for every port that `ballast up` listens on."""
    return {
        "BALLAST_DAGSTER_PORT": settings.dagster_port,
        "BALLAST_MLFLOW_PORT": settings.mlflow_port,
        "BALLAST_API_PORT": settings.api_port,
        "BALLAST_DEVNET_PORT": settings.devnet_port,
        "BALLAST_CODE_PORT": settings.code_port,
    }


def _refuse_shared_ports(settings: Settings) -> None:
    owners: dict[int, str] = {}
    for name, port in port_variables(settings).items():
        if port in owners:
            raise SettingsError(f"{name}: {port} is already the port of {owners[port]}")
        owners[port] = name


def current_settings(overrides: Mapping[str, str] | None = None) -> Settings:
    """Settings of this process: its environment, with `overrides` (command-line options) on top."""
    return load_settings({**os.environ, **(overrides or {})})


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Environment of a process we start: ours plus `extra`."""
    return {**os.environ, **extra}


def export(extra: Mapping[str, str]) -> None:
    """Set variables that libraries in this process read (Dagster, MLflow, dbt know no other way)."""
    os.environ.update(extra)


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that make a child process load these very settings, whatever folder it starts in.

    Secrets, provider URLs and addresses of nodes are left out: a child inherits them from the environment.
    """
    return {
        "BALLAST_MARKET": settings.market.name,
        "BALLAST_STATE": str(settings.state_root),
        "BALLAST_UNIVERSE": str(settings.universe_path),
        "BALLAST_SEED": str(settings.seed),
        "BALLAST_CLOCK_SPEED": f"{settings.clock_speed:g}",
        "BALLAST_HOST": settings.host,
        "BALLAST_CODE_HOST": settings.code_host,
        "BALLAST_DEVNET_HOST": settings.devnet_host,
        "BALLAST_SERVING_PUBLIC_READ": settings.public_read,
        "BALLAST_DEVNET_LEDGER_CLOSE_S": f"{settings.devnet_ledger_close_s:g}",
        "BALLAST_THREADS": str(settings.threads),
        **keeper_environment(settings.keeper, settings.signer),
        **({"BALLAST_WEBHOOK_PRIVATE": "1"} if settings.webhook_private else {}),
        "BALLAST_STEPS": settings.steps,
        **({"BALLAST_ARCHIVE": str(settings.archive)} if settings.archive else {}),
        **({"BALLAST_RAY_ADDRESS": settings.ray_address} if settings.ray_address else {}),
        **dict(zip(LOG_VARIABLES, (settings.log.format, settings.log.level, settings.log.access), strict=True)),
        **({METRICS_VARIABLE: str(settings.metrics)} if settings.metrics else {}),
        **({"DATABASE_URL": settings.database_url} if settings.database_url else {}),
        **{name: str(port) for name, port in port_variables(settings).items()},
        **settings.alert_options,
    }
