"""What a backup says about itself: `manifest.json`, the last member of its file. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

FORMAT = 1
NAME = "manifest.json"
DATABASES = ("ballast", "dagster", "mlflow")
_ROLE = re.compile(r"ballast_[a-z_]{1,40}")
_SCHEMA = re.compile(r"[a-z_]{1,40}")
_RIGHTS = ("INSERT", "SELECT", "UPDATE", "DELETE")


class BackupError(RuntimeError):
    """The backup cannot be made or used; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Dump:
    """One database. `tables`: rows of each table, in the snapshot that was dumped. `defaults`: what roles may do with
    tables to come: (schema, right, role)."""

    revision: str
    tables: Mapping[str, int]
    defaults: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """`server`: version of the PostgreSQL that was dumped, as a number (180000). `roles`: what rights are granted to.
    `artifact_root`: folder that MLflow's rows name. `last_event`: hash of the keeper's newest event, "" without one."""

    format: int
    made_at: str
    software: str
    market: str
    data_mode: str
    server: int
    pg_dump: str
    roles: tuple[str, ...]
    artifact_root: str
    last_event: str
    dumps: Mapping[str, Dump]
    files: Mapping[str, File]
    kept_elsewhere: tuple[str, ...]

    def as_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()


def read_manifest(text: bytes) -> Manifest:
    """Raises BackupError when it is none, or one of a format that this version does not know."""
    try:
        raw: dict[str, Any] = json.loads(text)
        if raw["format"] != FORMAT:
            raise BackupError(f"the backup has format {raw['format']}, this version reads {FORMAT}")
        dumps = {name: _dump(**raw["dumps"][name]) for name in DATABASES}
        files = {name: File(**value) for name, value in raw["files"].items()}
        lists = {name: tuple(raw[name]) for name in ("roles", "kept_elsewhere")}
        found = Manifest(**{f.name: raw[f.name] for f in fields(Manifest)} | {"dumps": dumps, "files": files} | lists)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(
            f"{NAME} of the backup cannot be read ({type(error).__name__}): take another backup"
        ) from error
    if wrong := [role for role in found.roles if not _ROLE.fullmatch(role)]:
        raise BackupError(f"{NAME} of the backup names the role {wrong[0]!r}, which is none of ours")
    for dump in found.dumps.values():
        for schema, right, role in dump.defaults:
            if not (_SCHEMA.fullmatch(schema) and right in _RIGHTS and role in found.roles):
                raise BackupError(f"{NAME} of the backup gives rights to {role!r} that none of ours gives")
    return found


def _dump(revision: str, tables: Mapping[str, int], defaults: list[list[str]]) -> Dump:
    return Dump(revision, tables, tuple((schema, right, role) for schema, right, role in defaults))
