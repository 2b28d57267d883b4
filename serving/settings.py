"""Settings of the API process: the only place in `serving` that reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from models.contracts.log_lines import LogChoice, log_choice
from models.runs.bounds import LARGE_RUNS_A_DAY, SMALL_RUNS_A_DAY
from serving.access.settings import AccessSettings, AccessSettingsError, load_access_settings
from serving.answers import KEPT_S

LARGE_VARIABLE = "BALLAST_SERVING_LARGE_RUNS_A_DAY"
SMALL_VARIABLE = "BALLAST_SERVING_SMALL_RUNS_A_DAY"
STREAMS_VARIABLE = "BALLAST_SERVING_STREAMS"
_MOST_RUNS_A_DAY = 100_000
_MOST_STREAMS = 10_000


class ServingSettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable."""


class TracesExporter(StrEnum):
    """Where traces go: to a collector over HTTP, or to the output of the process."""

    OTLP = "otlp"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """`database_url`: SQLAlchemy URL of one market's database. `role`: PostgreSQL role taken after connecting;
    `request_role`: the one that may add runs to the registry, and nothing else.

    `statement_timeout_ms` bounds every query, so that a slow database becomes a 503 and not a hung client.
    `large_runs_a_day`: runs that are left to the job in 24 hours; `small_runs_a_day`: that are answered at once.
    `streams`: how many may be open at once; `poll_s`: between two readings for all of them; `heartbeat_s`: silence
    after which a stream says that it is there. `standing_s`: for how long what is known of jobs and feeds is not read
    again; `answer_kept_s`: for how long an answer about the newest scores is given again (a process: one second).
    `traces`: where they go; None: none is made.
    """

    database_url: str = field(repr=False)  # it may hold a password
    role: str | None = "ballast_reader"
    request_role: str | None = "ballast_requester"
    pool_size: int = 5
    statement_timeout_ms: int = 5_000
    large_runs_a_day: int = LARGE_RUNS_A_DAY
    small_runs_a_day: int = SMALL_RUNS_A_DAY
    streams: int = 100
    poll_s: float = 1.0
    heartbeat_s: float = 15.0  # proxies cut what is silent for a minute
    standing_s: float = 1.0
    answer_kept_s: float = 0.0
    access: AccessSettings = field(default_factory=AccessSettings)
    log: LogChoice = field(default_factory=LogChoice)
    traces: TracesExporter | None = None


def load_serving_settings(env: Mapping[str, str] | None = None) -> ServingSettings:
    """Read BALLAST_SERVING_DATABASE_URL, BALLAST_SERVING_ROLE and BALLAST_SERVING_REQUEST_ROLE (empty: no role is
    taken), how many runs a day and streams at once, who may ask what (`serving.access.settings`), how it logs
    (BALLAST_LOG_*) and whether it traces (OTEL_*). Raises
    ServingSettingsError without a URL, or where one is wrong."""
    env = os.environ if env is None else env
    url = env.get("BALLAST_SERVING_DATABASE_URL")
    if not url:
        raise ServingSettingsError(
            "BALLAST_SERVING_DATABASE_URL is not set: start with `make up`, or name one market's database in it"
        )
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise ServingSettingsError("BALLAST_SERVING_DATABASE_URL: only postgresql:// URLs are understood")
    # A bare URL means another driver from SQLAlchemy 2.1 on; this project has exactly one.
    return ServingSettings(
        database_url=f"postgresql+psycopg2://{rest}",
        role=env.get("BALLAST_SERVING_ROLE", "ballast_reader") or None,
        request_role=env.get("BALLAST_SERVING_REQUEST_ROLE", "ballast_requester") or None,
        large_runs_a_day=_runs_a_day(env, LARGE_VARIABLE, LARGE_RUNS_A_DAY),
        small_runs_a_day=_runs_a_day(env, SMALL_VARIABLE, SMALL_RUNS_A_DAY),
        streams=_whole(env, STREAMS_VARIABLE, 100, _MOST_STREAMS),
        answer_kept_s=KEPT_S,
        access=_access(env),
        log=_log(env),
        traces=_traces(env),
    )


def _access(env: Mapping[str, str]) -> AccessSettings:
    try:
        return load_access_settings(env)
    except AccessSettingsError as error:
        raise ServingSettingsError(str(error)) from error


def _log(env: Mapping[str, str]) -> LogChoice:
    try:
        return log_choice(env)
    except ValueError as error:
        raise ServingSettingsError(str(error)) from error


def _traces(env: Mapping[str, str]) -> TracesExporter | None:
    """As OpenTelemetry's variables say; unlike there, nothing said means none."""
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    named = any(env.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in ("", "TRACES_"))
    said = env.get("OTEL_TRACES_EXPORTER") or ("otlp" if named else "none")
    if said not in ("none", *TracesExporter):
        raise ServingSettingsError(f"OTEL_TRACES_EXPORTER: {said!r} is not none, {', '.join(TracesExporter)}")
    return None if said == "none" else TracesExporter(said)


def _runs_a_day(env: Mapping[str, str], name: str, default: int) -> int:
    return _whole(env, name, default, _MOST_RUNS_A_DAY)


def _whole(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    said = env.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,6}", said) or not 1 <= int(said) <= most:
        raise ServingSettingsError(f"{name}: a whole number from 1 to {most}, not {said!r}")
    return int(said)
