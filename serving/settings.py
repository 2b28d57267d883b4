"""Settings of the API process: the only place in `serving` that reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.runs.bounds import LARGE_RUNS_A_DAY, SMALL_RUNS_A_DAY

LARGE_VARIABLE = "BALLAST_SERVING_LARGE_RUNS_A_DAY"
SMALL_VARIABLE = "BALLAST_SERVING_SMALL_RUNS_A_DAY"
_MOST_RUNS_A_DAY = 100_000


class ServingSettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable."""


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """`database_url`: SQLAlchemy URL of one market's database. `role`: PostgreSQL role taken after connecting;
    `request_role`: the one that may add runs to the registry, and nothing else.

    `statement_timeout_ms` bounds every query, so that a slow database becomes a 503 and not a hung client.
    `large_runs_a_day`: runs that are left to the job in 24 hours; `small_runs_a_day`: that are answered at once.
    """

    database_url: str = field(repr=False)  # it may hold a password
    role: str | None = "ballast_reader"
    request_role: str | None = "ballast_requester"
    pool_size: int = 5
    statement_timeout_ms: int = 5_000
    large_runs_a_day: int = LARGE_RUNS_A_DAY
    small_runs_a_day: int = SMALL_RUNS_A_DAY


def load_serving_settings(env: Mapping[str, str] | None = None) -> ServingSettings:
    """Read BALLAST_SERVING_DATABASE_URL, BALLAST_SERVING_ROLE and BALLAST_SERVING_REQUEST_ROLE (empty: no role is
    taken), and how many runs a day. Raises ServingSettingsError without a URL, or where one is wrong."""
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
    )


def _runs_a_day(env: Mapping[str, str], name: str, default: int) -> int:
    said = env.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,6}", said) or not 1 <= int(said) <= _MOST_RUNS_A_DAY:
        raise ServingSettingsError(f"{name}: a whole number from 1 to {_MOST_RUNS_A_DAY}, not {said!r}")
    return int(said)
