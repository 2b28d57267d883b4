"""Settings: the only place that reads the environment. Read once, validated, frozen, passed on.

A process calls `current_settings()` once; everything else receives a `Settings`. Messages name the variable.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from models.contracts.market import DataMode

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_UNIVERSE = Path(__file__).resolve().parent / "universe.yaml"

# Provider keys: NAME holds the key itself, NAME_FILE the path of a file that holds it (a mounted secret).
SECRET_VARIABLES = ("FIXER_API_KEY", "OPENEXCHANGERATES_APP_ID", "OPEN_ER_API_KEY", "TWELVEDATA_API_KEY")


# What users may set, and what our processes and tests tell each other; any other BALLAST_ name is a slip of the pen.
VARIABLES = tuple(
    f"BALLAST_{name}"
    for name in (
        *("MARKET", "STATE", "UNIVERSE", "SEED", "CLOCK_SPEED", "HOST", "KEEPER_PHASE", "THREADS", "RAY_ADDRESS"),
        *("DAGSTER_PORT", "MLFLOW_PORT", "API_PORT", "DEVNET_PORT", "CODE_PORT", "DEVNET_LEDGER_CLOSE_S"),
    )
)
INTERNAL_VARIABLES = tuple(
    f"BALLAST_{name}"
    for name in ("DAGSTER_URL", "WAREHOUSE_URL", "STACK", "TEST_DATABASE_URL", "REAL_DATA", "REAL_DATA_REQUIRED",
                 "UPDATE_GOLDEN")
)  # fmt: skip
PROVIDER_URL_PREFIX = "BALLAST_PROVIDER_URL_"
FAMILIES = (PROVIDER_URL_PREFIX, "BALLAST_PG_", "BALLAST_SERVING_")


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable and the way out."""


class Secret:
    """A value that never prints itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class MarketChoice:
    """`simulated`, `replay:DIR`, `replay:DIR@DATE` or `live`; `slug` names its databases and state folder.

    With a date the clock of a replay stands at the start of that day (UTC): later rows are not known yet.

    Each market is a workspace of its own (databases, registry, chain): a model trained on a simulated
    market can then never score a live one.
    """

    mode: DataMode
    directory: Path | None
    slug: str
    until: datetime | None = None

    @property
    def name(self) -> str:
        if self.directory is None:
            return self.mode.value
        return f"replay:{self.directory}" + (f"@{self.until:%Y-%m-%d}" if self.until else "")


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
    code_port: int  # Dagster's code server: the UI and the daemon share one, loopback only
    devnet_ledger_close_s: float
    keeper_phase: str  # shadow | devnet (later: testnet, approve, live)
    threads: int
    ray_address: str | None  # of a cluster that shares folds and fits; None: processes of this machine
    secrets: Mapping[str, Secret]
    provider_urls: Mapping[str, str]  # provider name -> base URL, for tests and mirrors

    @property
    def workspace(self) -> Path:
        """Everything of this market that is not in the database: Dagster home, artefacts, devnet, logs."""
        return self.state_root / self.market.slug


def parse_market(text: str) -> MarketChoice:
    if text in ("simulated", "live"):
        return MarketChoice(DataMode(text), None, text)
    if text.startswith("replay:") and len(text) > len("replay:"):
        return _parse_replay(text.removeprefix("replay:"))
    raise SettingsError(f"BALLAST_MARKET: {text!r} is not simulated, replay:DIR, replay:DIR@YYYY-MM-DD or live")


def _parse_replay(text: str) -> MarketChoice:
    dated = re.fullmatch(r"(.+)@(\d{4}-\d{2}-\d{2})", text)
    folder, day = (dated[1], dated[2]) if dated else (text, None)
    directory = Path(folder).expanduser().resolve()
    if not directory.is_dir():
        raise SettingsError(f"BALLAST_MARKET: replay folder {directory} does not exist")
    try:
        until = datetime.fromisoformat(f"{day}T00:00+00:00") if day else None
    except ValueError:
        raise SettingsError(f"BALLAST_MARKET: {day} is not a date") from None
    stem = re.sub(r"[^a-z0-9]+", "_", directory.name.lower()).strip("_")[:16]
    # Folders of one name must not share a workspace, and neither must two moments of one folder.
    identity = hashlib.sha256(f"{directory}@{day}".encode() if day else str(directory).encode()).hexdigest()[:6]
    return MarketChoice(DataMode.REPLAY, directory, f"replay_{stem}_{identity}", until)


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        raise SettingsError(f"{name}: {text!r} is not a number") from None
    if not low <= value <= high:
        raise SettingsError(f"{name}: {value:g} is outside {low:g} to {high:g}")
    return value


def _secrets(env: Mapping[str, str]) -> dict[str, Secret]:
    found: dict[str, Secret] = {}
    for name in SECRET_VARIABLES:
        value, file = env.get(name), env.get(f"{name}_FILE")
        if value:
            found[name] = Secret(value.strip())
        elif file:
            path = Path(file)
            if not path.is_file():
                raise SettingsError(f"{name}_FILE: {path} does not exist")
            found[name] = Secret(path.read_text(encoding="utf-8").strip())
    return found


def load_settings(env: Mapping[str, str]) -> Settings:
    """Build settings from environment variables. Raises SettingsError naming the first wrong one."""
    url = env.get("DATABASE_URL") or None
    if url is not None and urlsplit(url).scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise SettingsError("DATABASE_URL: only postgresql:// URLs are understood")
    phase = env.get("BALLAST_KEEPER_PHASE") or "devnet"
    if phase not in ("shadow", "devnet"):
        raise SettingsError(f"BALLAST_KEEPER_PHASE: {phase!r} is not shadow or devnet")
    _refuse_unknown(env)
    prefix = PROVIDER_URL_PREFIX
    settings = Settings(
        market=parse_market(env.get("BALLAST_MARKET") or "simulated"),
        state_root=Path(env.get("BALLAST_STATE") or PROJECT_ROOT / ".ballast").expanduser().resolve(),
        database_url=url,
        universe_path=Path(env.get("BALLAST_UNIVERSE") or DEFAULT_UNIVERSE).expanduser().resolve(),
        seed=int(_number(env, "BALLAST_SEED", 7, 0, 2**31)),
        clock_speed=_number(env, "BALLAST_CLOCK_SPEED", 1, 1, 86_400),
        host=env.get("BALLAST_HOST") or "127.0.0.1",
        dagster_port=int(_number(env, "BALLAST_DAGSTER_PORT", 3000, 1, 65535)),
        mlflow_port=int(_number(env, "BALLAST_MLFLOW_PORT", 5000, 1, 65535)),
        api_port=int(_number(env, "BALLAST_API_PORT", 8000, 1, 65535)),
        devnet_port=int(_number(env, "BALLAST_DEVNET_PORT", 8400, 1, 65535)),
        code_port=int(_number(env, "BALLAST_CODE_PORT", 4266, 1, 65535)),
        devnet_ledger_close_s=_number(env, "BALLAST_DEVNET_LEDGER_CLOSE_S", 1, 0.05, 60),
        keeper_phase=phase,
        threads=int(_number(env, "BALLAST_THREADS", 2, 1, 256)),
        ray_address=env.get("BALLAST_RAY_ADDRESS") or None,
        secrets=_secrets(env),
        provider_urls={k.removeprefix(prefix).lower(): v for k, v in env.items() if k.startswith(prefix)},
    )
    _refuse_shared_ports(settings)
    return settings


def port_variables(settings: Settings) -> dict[str, int]:
    """Variable name -> port, for every port that `ballast up` listens on."""
    return {
        "BALLAST_DAGSTER_PORT": settings.dagster_port,
        "BALLAST_MLFLOW_PORT": settings.mlflow_port,
        "BALLAST_API_PORT": settings.api_port,
        "BALLAST_DEVNET_PORT": settings.devnet_port,
        "BALLAST_CODE_PORT": settings.code_port,
    }


def _refuse_unknown(env: Mapping[str, str]) -> None:
    for name in env:
        if name.startswith("BALLAST_") and not is_known(name):
            near = difflib.get_close_matches(name, VARIABLES, 1, cutoff=0.8)  # they all begin alike
            raise SettingsError(f"{name}: no such setting" + (f"; did you mean {near[0]}?" if near else ""))


def is_known(name: str) -> bool:
    return name in VARIABLES or name in INTERNAL_VARIABLES or name.startswith(FAMILIES)


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

    Secrets and provider URLs are left out: a child inherits them from the environment they came from.
    """
    return {
        "BALLAST_MARKET": settings.market.name,
        "BALLAST_STATE": str(settings.state_root),
        "BALLAST_UNIVERSE": str(settings.universe_path),
        "BALLAST_SEED": str(settings.seed),
        "BALLAST_CLOCK_SPEED": f"{settings.clock_speed:g}",
        "BALLAST_HOST": settings.host,
        "BALLAST_DEVNET_LEDGER_CLOSE_S": f"{settings.devnet_ledger_close_s:g}",
        "BALLAST_KEEPER_PHASE": settings.keeper_phase,
        "BALLAST_THREADS": str(settings.threads),
        **({"BALLAST_RAY_ADDRESS": settings.ray_address} if settings.ray_address else {}),
        **({"DATABASE_URL": settings.database_url} if settings.database_url else {}),
        **{name: str(port) for name, port in port_variables(settings).items()},
    }
