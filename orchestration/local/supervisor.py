"""The supervisor: one detached process that starts a table of services, watches them and restarts what falls.

Generic on purpose: it reads `services.json` of its folder, keeps `status.json` beside it, writes one log a service,
and knows nothing of databases or markets. Run as `python -m orchestration.local.supervisor FOLDER`; the commands
that start and stop it are in `orchestration.local.stack`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from orchestration.local import processes
from orchestration.local.files import replace_text
from orchestration.local.health import is_ready
from orchestration.local.locks import Busy, hold
from orchestration.local.services import Service

LOCK, TABLE, STATUS = "stack.lock", "services.json", "status.json"
_TICK_S = 0.25
_PROBE_EVERY_S = 0.5  # while it starts
_WATCH_EVERY_S = 5.0  # once it answers
_SETTLE_S = 2.0  # a service without a port is ready after this long
_BACK_OFF_S = (1, 2, 5, 10, 30)
_STEADY_S = 60.0  # having run this long clears the restart count
_PATIENCE_S = 10.0
_LOG_LIMIT_BYTES = 20_000_000


@dataclass(slots=True)
class Watched:
    """One service and what the supervisor knows of it. `state`: waiting, starting, up, unreachable, backing_off."""

    service: Service
    log: Path
    process: subprocess.Popen[bytes] | None = None
    state: str = "waiting"
    restarts: int = 0
    exit_code: int | None = None
    started_at: float = 0.0
    next_at: float = 0.0
    _family: list[psutil.Process] = field(default_factory=list)

    def start(self, now: float) -> None:
        with _opened(self.log) as output:
            # A session of its own: Ctrl-C in the terminal and the end of the terminal are not its business.
            self.process = subprocess.Popen(
                self.service.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.state, self.started_at, self.next_at = "starting", now, now + _PROBE_EVERY_S

    def step(self, now: float, ready: set[str]) -> None:
        """Advance by one observation: start when due, notice an exit, probe when due."""
        if self.process is None:
            if now >= self.next_at and ready.issuperset(self.service.after):
                self.start(now)
            return
        code = self.process.poll()
        if code is not None:
            self._fell(code, now)
        elif now >= self.next_at:
            self._probe(now)

    def _fell(self, code: int, now: float) -> None:
        processes.end(self._family, patience_s=2.0)  # what it had started does not outlive it
        if now - self.started_at > _STEADY_S:
            self.restarts = 0
        self.next_at = now + _BACK_OFF_S[min(self.restarts, len(_BACK_OFF_S) - 1)]
        self.process, self.state, self.exit_code, self.restarts = None, "backing_off", code, self.restarts + 1

    def _probe(self, now: float) -> None:
        assert self.process is not None
        self._family = processes.family(self.process.pid)[1:]
        settled = now - self.started_at >= _SETTLE_S
        answers = settled if self.service.port is None else is_ready(self.service)
        if answers:
            self.state = "up"
        elif self.state == "up":
            self.state = "unreachable"
        self.next_at = now + (_WATCH_EVERY_S if self.state == "up" else _PROBE_EVERY_S)

    def report(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "pid": self.process.pid if self.process else None,
            "restarts": self.restarts,
            "exit_code": self.exit_code,
            "log": str(self.log),
        }


def _opened(log: Path) -> BinaryIO:
    """Where a service's words go: nowhere on a disk that takes none, a service is worth more than its log."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.is_file() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".old.log"))
        return log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def write_table(folder: Path, services: Sequence[Service]) -> None:
    replace_text(folder / TABLE, json.dumps([asdict(service) for service in services], indent=1))


def read_table(folder: Path) -> list[Service]:
    rows = json.loads((folder / TABLE).read_text(encoding="utf-8"))
    return [Service(**{**row, "argv": tuple(row["argv"]), "after": tuple(row["after"])}) for row in rows]


def watch(folder: Path, stop: threading.Event) -> None:
    """Run the table of `folder` until `stop` is set, then end everything."""
    watched = [Watched(service, folder / "logs" / f"{service.name}.log") for service in read_table(folder)]
    written: object = None
    try:
        while not stop.is_set():
            now = time.monotonic()
            ready = {item.service.name for item in watched if item.state in ("up", "unreachable")}
            for item in watched:
                item.step(now, ready)
            status = {"pid": os.getpid(), "services": {item.service.name: item.report() for item in watched}}
            if status != written:
                written = status if _written(folder / STATUS, status) else None
            stop.wait(_TICK_S)
    finally:
        _end_all(watched)
        (folder / STATUS).unlink(missing_ok=True)


def _written(path: Path, status: object) -> bool:
    """False on a disk that takes nothing: the services go on, their status is told when there is room again."""
    try:
        replace_text(path, json.dumps(status, indent=1))
    except OSError:
        return False
    return True


def _end_all(watched: Sequence[Watched]) -> None:
    running = [item.process for item in reversed(watched) if item.process is not None]
    processes.end([member for process in running for member in processes.family(process.pid)], _PATIENCE_S)
    for process in running:
        process.poll()  # reap it


def main(arguments: Sequence[str]) -> int:
    """Take the lock, then leave the caller's process tree: when this returns 0, a daemon holds the lock."""
    folder = Path(arguments[0])
    try:
        with hold(folder / LOCK, "another supervisor runs this folder"):
            if os.fork():  # the lock goes with the open file, which the daemon shares
                os._exit(0)
            stop = threading.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            watch(folder, stop)
    except Busy as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
