"""Starting, stopping and describing the stack of one market: the client side of the supervisor.

Works on a folder and a table of services; which database they need is settled before (`prepare`), what the
market's clock does around it is in `orchestration.local.commands.stack`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from orchestration.local import processes
from orchestration.local.locks import is_held
from orchestration.local.services import Service
from orchestration.local.supervisor import LOCK, STATUS, write_table
from orchestration.settings import child_environment

START_TIMEOUT_S = 180.0
_PATIENCE_S = 30.0  # the supervisor gives its services ten seconds
_POLL_S = 0.2
_SWEEPS = 3
_GIVE_UP_RESTARTS = 3  # a service that falls this often while starting will not come up by itself


class StackError(RuntimeError):
    """The stack cannot be started or stopped; the message says what to do."""


class PortTaken(StackError):
    """A port is in use by somebody else."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    name: str
    state: str  # waiting, starting, up, unreachable, backing_off; down when no supervisor runs
    pid: int | None = None
    restarts: int = 0
    exit_code: int | None = None
    log: str = ""


def is_running(folder: Path) -> bool:
    return is_held(folder / LOCK)


def status(folder: Path, services: Sequence[Service]) -> list[ServiceStatus]:
    """State of each service of the table, in its order."""
    known: Mapping[str, dict[str, object]] = {}
    if is_running(folder) and (folder / STATUS).is_file():
        known = json.loads((folder / STATUS).read_text(encoding="utf-8"))["services"]
    return [
        ServiceStatus(service.name, **known.get(service.name, {"state": "down"}))  # type: ignore[arg-type]  # own file
        for service in services
    ]


def refuse_taken_ports(services: Sequence[Service]) -> None:
    """Raises PortTaken naming the port, its setting and, where the system tells, who holds it."""
    for service in services:
        if service.port is not None and not processes.port_is_free(service.host, service.port):
            owner = processes.port_owner(service.port)
            raise PortTaken(
                f"port {service.port} for {service.title} is taken{f' by {owner}' if owner else ''}: "
                f"stop that process or set {service.variable} to another port"
            )


def start(
    folder: Path,
    services: Sequence[Service],
    environment: Mapping[str, str],
    on_ready: Callable[[Service], None],
    timeout_s: float = START_TIMEOUT_S,
) -> None:
    """Start a detached supervisor and wait until every service answers. On failure everything is stopped again."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_running(folder):
        raise StackError("the stack of this market is already up: `ballast status` shows it, `make down` stops it")
    sweep(folder)  # what a killed supervisor left behind would hold the ports
    refuse_taken_ports(services)
    write_table(folder, services)
    (folder / STATUS).unlink(missing_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    with (folder / "logs" / "supervisor.log").open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", "orchestration.local.supervisor", str(folder)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=child_environment({**environment, processes.STACK_MARKER: str(folder)}), check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise StackError(f"the supervisor does not start: {last_words(folder / 'logs' / 'supervisor.log')}")
    try:
        _await_ready(folder, services, on_ready, timeout_s)
    except BaseException:  # Ctrl-C included: half a stack is worse than none
        stop(folder)
        raise


def _await_ready(
    folder: Path,
    services: Sequence[Service],
    on_ready: Callable[[Service], None],
    timeout_s: float,
) -> None:
    deadline = time.monotonic() + timeout_s
    pending = {service.name: service for service in services}
    while pending:
        for item in status(folder, list(pending.values())):
            if item.state == "up":
                on_ready(pending.pop(item.name))
            elif item.restarts >= _GIVE_UP_RESTARTS:
                raise StackError(
                    f"{item.name} does not start (exit code {item.exit_code}): {last_words(Path(item.log))}"
                )
        if not is_running(folder):
            raise StackError(f"the supervisor ended: {last_words(folder / 'logs' / 'supervisor.log')}")
        if time.monotonic() > deadline:
            names = ", ".join(pending)
            raise StackError(f"not ready after {timeout_s:.0f} s: {names}. Logs are in {folder / 'logs'}")
        time.sleep(_POLL_S)


def stop(folder: Path) -> int:
    """End the supervisor and every process below it; returns how many ended. Raises StackError if one stays."""
    living = processes.marked(folder)
    supervisors = [process for process in living if _is_supervisor(process)]
    for process in supervisors:
        process.terminate()
    psutil.wait_procs(supervisors, timeout=_PATIENCE_S)
    sweep(folder)
    (folder / STATUS).unlink(missing_ok=True)
    (folder / LOCK).unlink(missing_ok=True)  # nobody is left to hold it
    return len(living)


def sweep(folder: Path) -> None:
    """End whatever carries this folder's mark: after a kill -9 of the supervisor its services live on."""
    for _ in range(_SWEEPS):  # a process may have started another one while we looked
        left = processes.end(processes.marked(folder), patience_s=10.0)
        if not left and not processes.marked(folder):
            return
    pids = ", ".join(f"pid {process.pid}" for process in processes.marked(folder))
    raise StackError(f"still running: {pids}. End them by hand")


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        return "orchestration.local.supervisor" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def last_words(log: Path) -> str:
    """Where to read on, and the last line there."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was written")
    return f"{last[:300]} (log: {log})"
