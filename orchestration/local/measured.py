"""A child process whose end, length and peak memory are known; whatever it started ends with the block.

The kernel counts into a process's peak what its parent held when it was started: who measures here stays small.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestration.local import processes
from orchestration.settings import PROJECT_ROOT, child_environment

_PATIENCE_S = 5.0
_SHOWN_LINES = 8
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class ChildFailed(RuntimeError):
    """A child did not do its work; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child went. `peak_rss_mb`: of the largest single process among it and what it waited for."""

    seconds: float
    peak_rss_mb: float


@dataclass(slots=True)
class Child:
    """A running child and where its words go."""

    process: subprocess.Popen[bytes]
    log: Path
    began: float

    def end(self) -> Ended:
        """Ask it to stop and wait; for servers, which never end by themselves."""
        self.process.terminate()
        return self.wait(expect_success=False)

    def wait(self, expect_success: bool = True) -> Ended:
        """Wait for its end. Raises ChildFailed when it failed and was not to."""
        _, status, usage = os.wait4(self.process.pid, 0)
        seconds = time.perf_counter() - self.began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if expect_success and self.process.returncode != 0:
            raise ChildFailed(f"exit code {self.process.returncode}: {last_words(self.log)}")
        return Ended(seconds, usage.ru_maxrss * _RSS_UNIT_BYTES / 1e6)


def last_words(log: Path) -> str:
    """The last lines of a log, in one line."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return " | ".join(line.strip() for line in lines[-_SHOWN_LINES:] if line.strip()) or "it said nothing"


@contextmanager
def child(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Child]:
    """A process with `environment` on top of ours. At the end of the block it and all below it are gone."""
    with log.open("ab") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=PROJECT_ROOT,
            env=child_environment(environment),
        )
    try:
        yield Child(process, log, began)
    finally:
        if process.returncode is None:
            processes.end(processes.family(process.pid), _PATIENCE_S)
            process.wait()


def run(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Ended:
    """Run a child to its end. Raises ChildFailed."""
    with child(argv, environment, log) as started:
        return started.wait()
