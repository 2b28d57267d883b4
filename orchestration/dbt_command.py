"""dbt as a command: where the project is, where its artefacts go, parsing it, running it.

Here: what the command line and the preparation of a workspace need, without importing Dagster or dbt. The models as
assets are in `orchestration.dbt`. dbt reads its connection from the environment (`BALLAST_PG_*`, see profiles.yml).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestration.settings import PROJECT_ROOT, Settings, child_environment

DBT_DIR = PROJECT_ROOT / "dbt_project"
EXECUTABLE = Path(sys.executable).with_name("dbt")

_SOURCES = ("*.sql", "*.yml")
_TIMEOUT_S = 3600  # a full build of a long history takes minutes
_SHOWN_LINES = 15


class DbtError(RuntimeError):
    """dbt failed or was not prepared; the message holds its last words and the way out."""


def target_folder(settings: Settings) -> Path:
    """Artefacts of a market: manifest, compiled SQL, logs. Never inside the project."""
    return settings.workspace / "dbt"


def run(arguments: Sequence[str], target: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run dbt on the project and return what it said. Raises DbtError with its last lines."""
    command = [
        str(EXECUTABLE), "--no-use-colors", *arguments, "--project-dir", str(DBT_DIR), "--profiles-dir", str(DBT_DIR),
        "--target-path", str(target), "--log-path", str(target / "logs"),
    ]  # fmt: skip
    quiet = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "true"}
    done = subprocess.run(
        command,
        cwd=DBT_DIR,
        env=child_environment({**quiet, **(environment or {})}),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode != 0:
        last = "\n".join(said.strip().splitlines()[-_SHOWN_LINES:])
        raise DbtError(f"dbt {' '.join(arguments[:1])} failed (log: {target / 'logs' / 'dbt.log'}):\n{last}")
    return said


def parse(target: Path) -> Path:
    """Write the manifest if it is missing or older than the project, and return its path. Needs no database."""
    manifest = target / "manifest.json"
    newest = max(path.stat().st_mtime for pattern in _SOURCES for path in DBT_DIR.rglob(pattern))
    if not manifest.is_file() or manifest.stat().st_mtime < newest:
        target.mkdir(parents=True, exist_ok=True)
        run(["parse", "--show-all-deprecations", "--no-partial-parse"], target)
    return manifest


def existing_manifest(target: Path) -> Path:
    """Path of the manifest. Raises DbtError where it was never written: loading definitions must not parse."""
    manifest = target / "manifest.json"
    if not manifest.is_file():
        raise DbtError(f"{manifest} does not exist: run `ballast dbt-parse` first")
    return manifest
