"""`ballast doctor`: looks at everything a command would need and says what is wrong and how to mend it.

Only looks: it starts no server, migrates nothing and deletes nothing. Secrets are named, never shown.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from models.contracts.market import DataMode
from orchestration.local import processes, stack
from orchestration.local.database import server_running, server_url, workspace_databases
from orchestration.local.prepare import manifest_is_current
from orchestration.local.services import service_table
from orchestration.local.workspace import is_busy
from orchestration.migrations.run import current_revision, newest_revision
from orchestration.resources.database_errors import DatabaseError, translate
from orchestration.resources.database_url import redact
from orchestration.settings import PROJECT_ROOT, SECRET_VARIABLES, Settings, SettingsError
from orchestration.universe import UniverseError, load_universe

_PYTHONS = ((3, 11), (3, 13))
_MIN_FREE_GB = 3.0  # a replay of all recorded data takes about one
ROLES = ("ballast_writer", "ballast_reader", "ballast_keeper", "ballast_requester", "ballast_gatekeeper")


@dataclass(frozen=True, slots=True)
class Finding:
    """`verdict`: ok, warn (works, but) or fail. `way_out` is empty when nothing is to be done."""

    verdict: str
    what: str
    found: str
    way_out: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order in which things are needed. Without a state folder the rest cannot be looked at."""
    findings = [
        *_python(settings),
        *_packages(settings),
        *_universe(settings),
        *_keys(settings),
        *_alerts(settings),
        *_state(settings),
    ]
    if findings[-1].verdict != "fail":
        for look in (_manifest, _server, _ports, _leftovers):
            findings.extend(look(settings))
    return findings


def _python(settings: Settings) -> Iterator[Finding]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    good = _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]
    yield Finding(
        "ok" if good else "fail", "Python", found, "" if good else "use 3.11, 3.12 or 3.13: rm -r .venv, make install"
    )


def _packages(settings: Settings) -> Iterator[Finding]:
    lock = PROJECT_ROOT / "requirements.lock"
    if not lock.is_file():
        yield Finding("warn", "packages", "installed without the lock file", "run from a clone with `make install`")
        return
    wanted = [pin for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line and (pin := _pin(line))]
    other = sorted(f"{pin.name} {found}" for pin in wanted if not pin.specifier.contains(found := _installed(pin.name)))
    if other:
        few = ", ".join(other[:5]) + (f" and {len(other) - 5} more" if len(other) > 5 else "")
        yield Finding("warn", "packages", f"differ from the lock file: {few}", "make install")
    else:
        yield Finding("ok", "packages", f"{len(wanted)} as locked")


def _pin(line: str) -> Requirement | None:
    """The pin of a line of the lock file; None where it is meant for another Python or system."""
    requirement = Requirement(line.split(" #")[0])
    return requirement if requirement.marker is None or requirement.marker.evaluate() else None


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"


def _state(settings: Settings) -> Iterator[Finding]:
    root = settings.state_root
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        way_out = "fix its permissions or set BALLAST_STATE"
        yield Finding("fail", "state folder", f"{root} cannot be written ({error.strerror})", way_out)
        return
    free = shutil.disk_usage(existing).free / 1e9
    told = f"{root}, {free:.1f} GB free"
    if free < _MIN_FREE_GB:
        yield Finding("warn", "state folder", told, f"{_MIN_FREE_GB:g} GB are needed for recorded data: free some")
    else:
        yield Finding("ok", "state folder", told)


def _universe(settings: Settings) -> Iterator[Finding]:
    try:
        found = load_universe(settings.universe_path)
    except UniverseError as error:
        yield Finding("fail", "universe", str(error), "correct the file or unset BALLAST_UNIVERSE")
        return
    yield Finding("ok", "universe", f"{settings.universe_path.name}: {len(found.vaults)} vaults")


def _keys(settings: Settings) -> Iterator[Finding]:
    present = [name for name in SECRET_VARIABLES if name in settings.secrets]
    absent = [name for name in SECRET_VARIABLES if name not in settings.secrets]
    told = f"present: {', '.join(present) or 'none'}"
    if settings.market.mode is DataMode.LIVE and absent:
        yield Finding(
            "warn",
            "provider keys",
            f"{told}; absent: {', '.join(absent)}",
            "set NAME or NAME_FILE; others answer meanwhile",
        )
    else:
        yield Finding("ok", "provider keys", f"{told} (only the live market asks for any)")


def _alerts(settings: Settings) -> Iterator[Finding]:
    from orchestration.alerts.config import alert_config  # HTTP clients that other commands need not load

    try:
        channels = alert_config(settings).channels
    except SettingsError as error:
        yield Finding("fail", "alerts", str(error), "correct the variable, then `ballast alerts test CHANNEL`")
        return
    names = ", ".join(channel.name for channel in channels)
    if any(channel.leaves_machine for channel in channels):
        yield Finding("ok", "alerts", f"sent to {names}")
    else:
        yield Finding("warn", "alerts", f"reach nobody beyond this machine ({names or 'no channel'})",
                      "name channels in BALLAST_ALERT_CHANNELS (docs/runbook.md)")  # fmt: skip


def _manifest(settings: Settings) -> Iterator[Finding]:
    if manifest_is_current(settings):
        yield Finding("ok", "dbt manifest", "current")
    else:
        yield Finding("ok", "dbt manifest", "missing or older than the project (commands parse it themselves)")


def _server(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None and not server_running(settings):
        yield Finding("ok", "database", "embedded server, not running now (commands start it)")
        return
    where = "embedded server" if settings.database_url is None else redact(server_url(settings))
    url = workspace_databases(settings).ballast
    try:
        revision = current_revision(url)
    except DatabaseError as error:
        if "does not exist" in str(error):
            yield Finding("ok", "database", f"{where} answers; this market has no database yet (make run)")
        else:
            yield Finding("fail", "database", str(error), "start the server or unset DATABASE_URL")
        return
    yield Finding("ok", "database", f"{where} answers")
    if revision == newest_revision():
        yield Finding("ok", "schema", f"revision {revision}")
    else:
        yield Finding(
            "fail", "schema", f"revision {revision}, this version needs {newest_revision()}", "ballast migrate"
        )
    yield from _inside(url)


def _inside(url: str) -> Iterator[Finding]:
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            server = str(connection.execute(text("show server_version")).scalar())
            roles = set(connection.execute(text("select rolname from pg_roles")).scalars())
            used, limit = connection.execute(
                text("select count(*), current_setting('max_connections')::int from pg_stat_activity")
            ).one()
    except DBAPIError as error:
        yield Finding("fail", "database", str(translate(error)), "see the server's log")
        return
    yield Finding("ok", "driver", f"{engine.dialect.driver}, server {server}")
    missing = [role for role in ROLES if role not in roles]
    if missing:
        yield Finding(
            "fail", "roles", f"missing: {', '.join(missing)}", "ballast migrate with a user that may create roles"
        )
    else:
        yield Finding("ok", "roles", ", ".join(ROLES))
    if used > 0.8 * limit:
        yield Finding("warn", "connections", f"{used} of {limit}", "raise max_connections or stop other clients")
    else:
        yield Finding("ok", "connections", f"{used} of {limit}")


def _ports(settings: Settings) -> Iterator[Finding]:
    if stack.is_running(settings.workspace):
        states = stack.status(settings.workspace, service_table(settings))
        down = [item.name for item in states if item.state != "up"]
        if down:
            yield Finding("warn", "stack", f"not answering: {', '.join(down)}", f"see {settings.workspace / 'logs'}")
        else:
            yield Finding("ok", "stack", f"{len(states)} services are up")
        return
    if processes.marked(settings.workspace):
        return  # what a killed stack left holds the ports: the next finding tells how to end it
    for service in service_table(settings):
        if service.port is None:
            continue
        if processes.port_is_free(service.host, service.port):
            yield Finding("ok", f"port {service.port}", f"free for {service.title}")
        else:
            owner = processes.port_owner(service.port) or "another process"
            yield Finding(
                "fail",
                f"port {service.port}",
                f"{service.title} needs it, {owner} has it",
                f"stop it or set {service.variable}",
            )


def _leftovers(settings: Settings) -> Iterator[Finding]:
    """Locks cannot go stale (the kernel drops them), but services of a killed supervisor live on."""
    if stack.is_running(settings.workspace):
        return
    left = processes.marked(settings.workspace)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        if is_busy(settings):
            yield Finding("ok", "leftovers", "none; a `make run` or `make up` is at work")
            return
        yield Finding("fail", "leftovers", f"processes of a killed stack hold the ports: {pids}", "make down")
    else:
        yield Finding("ok", "leftovers", "none")
