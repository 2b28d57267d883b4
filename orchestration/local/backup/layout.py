"""What of a market is backed up besides its databases, and under which names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestration.folders import artifacts
from orchestration.settings import Settings

WORKSPACE = "workspace"
FOLDERS = ("artifacts", "evaluations")
CALENDAR, DEVNET = "calendar.json", "devnet.json"
FILES = (CALENDAR, DEVNET)  # the chain last: it may be ahead of the keeper's memory, never behind
STAMP = "prepared.json"  # says which databases are prepared: it is about the ones before


def dump_name(database: str) -> str:
    return f"{database}.dump"


def files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """(name in the backup, path) of every file; links are left out, and so are keys, logs and what is made anew."""
    root = settings.workspace
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield f"{WORKSPACE}/{path.relative_to(root).as_posix()}", path
    for name in FILES:
        if (root / name).is_file():
            yield f"{WORKSPACE}/{name}", root / name


def kept_elsewhere(settings: Settings) -> tuple[str, ...]:
    """What a backup leaves out on purpose and a restored installation needs. Names only, never a value."""
    found = ["the keeper's key, in its key service or file, and its settings"]
    if (settings.workspace / "keys").is_dir():
        found.append(f"keys/ of {settings.workspace.name} in the state folder: keys of the development network")
    if settings.database_url is not None:
        found.append("DATABASE_URL or its file")
    found += [f"{name} or its file" for name in sorted(settings.secrets)]
    found.append("every other setting: variables, files of secrets, the universe file if you changed it")
    return tuple(found)


def artifact_root(settings: Settings) -> str:
    return str(artifacts(settings))
