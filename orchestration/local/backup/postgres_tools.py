"""`pg_dump` and `pg_restore`: found, asked for their version, run. A password is never on a command line."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import make_url

from orchestration.local.backup.manifest import BackupError
from orchestration.local.embedded_postgres import packaged_binary
from orchestration.settings import Settings, child_environment


def tool(settings: Settings, name: str, least: int) -> str:
    """Path of a program of major version `least` or newer: of PATH for an outside server, else the one that comes with
    the embedded server. An older one refuses a newer server, or cannot read what a newer one wrote.

    Raises BackupError when neither is new enough.
    """
    found = shutil.which(name) if settings.database_url is not None else None
    candidates = [*([found] if found else []), packaged_binary(name)]
    for program in candidates:
        if major(version_of(program)) >= least:
            return program
    raise BackupError(f"{name} {least} or newer is needed: put PostgreSQL's client programs of that version on PATH")


def version_of(program: str) -> str:
    """What `--version` says: `pg_dump (PostgreSQL) 18.0`."""
    return _run([program, "--version"], None).strip()


def major(version: str) -> int:
    """Major version in what `--version` says, 0 if it says none."""
    found = re.search(r"\) (\d+)", version)
    return int(found[1]) if found else 0


def dump(program: str, url: str, snapshot: str, into: Path) -> None:
    """One database as of an exported snapshot, custom format (compressed; `pg_restore` reads it)."""
    address, password = _address(url)
    _run([program, "--format=custom", "--no-password", f"--snapshot={snapshot}", f"--file={into}", address], password)


def restore(program: str, url: str, dump: Path) -> None:
    """Into an empty database, all or nothing; everything belongs to the user of `url` then.

    Default privileges are left out: they name the user of then, who need not exist here.
    """
    address, password = _address(url)
    listed = _run([program, "--list", str(dump)], None).splitlines(keepends=True)
    contents = dump.with_suffix(".list")
    contents.write_text("".join(line for line in listed if " DEFAULT ACL " not in line), encoding="utf-8")
    _run(
        [program, "--no-owner", "--no-password", "--single-transaction", "--exit-on-error", f"--dbname={address}",
         f"--use-list={contents}", str(dump)],
        password,
    )  # fmt: skip


def _address(url: str) -> tuple[str, str | None]:
    """The URL as libpq reads it, without its password, and the password."""
    parsed = make_url(url).set(drivername="postgresql")
    query = dict(parsed.query)
    in_query = query.pop("password", None)
    password = parsed.password or (in_query if isinstance(in_query, str) else None)
    bare = make_url(parsed.set(query=query).render_as_string(hide_password=False))._replace(password=None)
    return bare.render_as_string(hide_password=False), password


def _run(command: list[str], password: str | None) -> str:
    """Its output. Raises BackupError with its last line: English, and without the address."""
    extra = {"LC_ALL": "C"} | ({"PGPASSWORD": password} if password else {})
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            env=child_environment(extra),
        )  # fmt: skip
    except OSError as error:
        raise BackupError(f"{command[0]} cannot be started ({error.strerror})") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if "error" in line] or done.stderr.splitlines()
        raise BackupError(f"{Path(command[0]).name} failed: {lines[0] if lines else 'no reason given'}")
    return done.stdout
