"""A state folder on a full or read-only disk: commands say so in one line and leave everything as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestration.local import stack
from orchestration.local.supervisor import STATUS
from tests.end_to_end.broken_disk import BreakableDisk, breakable_disk
from tests.orchestration.local.test_stack import free_port, page, wait_until

BALLAST = Path(sys.executable).with_name("ballast")
Put = Callable[..., None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[BreakableDisk]:
    made = breakable_disk(tmp_path)
    yield made
    made.heal()


def ballast(disk: BreakableDisk, word: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **disk.variables, "BALLAST_STATE": str(disk.root / "state")}
    return subprocess.run([str(BALLAST), word], env=variables, capture_output=True, text=True, timeout=60, check=False)


def content(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() if path.is_file() else "" for path in folder.rglob("*")}


@pytest.mark.parametrize("word", ["run", "up", "migrate"])
@pytest.mark.parametrize("played", [False, True])
def test_read_only_state_folder(environment: Put, disk: BreakableDisk, word: str, played: bool) -> None:
    if played:
        (disk.root / "state" / "simulated").mkdir(parents=True)
        (disk.root / "state" / "simulated" / "calendar.json").write_text("{}")
    before = content(disk.root)
    with disk.being("read-only"):
        done = ballast(disk, word)
    assert done.returncode == 2, done.stderr
    assert "(Read-only file system)" in done.stderr
    assert "BALLAST_STATE" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert content(disk.root) == before


@pytest.mark.parametrize("word", ["run", "up"])
def test_full_disk_leaves_no_half_written_file(environment: Put, disk: BreakableDisk, word: str) -> None:
    with disk.being("full"):
        done = ballast(disk, word)
    assert done.returncode == 2, done.stderr
    assert "(No space left on device)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path for path in disk.root.rglob("*") if path.is_file()] == []


def test_doctor_names_a_read_only_disk(environment: Put, disk: BreakableDisk) -> None:
    with disk.being("read-only"):
        done = ballast(disk, "doctor")
    assert done.returncode == 1
    assert "Read-only file system" in " ".join(done.stdout.split())
    assert done.stderr == ""


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_services_outlive_a_broken_disk(disk: BreakableDisk, how: str) -> None:
    """Even one that falls meanwhile is started again; when the disk is well its status is told again."""
    folder, services = disk.root / "market", [page("api", free_port())]
    stack.start(folder, services, disk.variables, lambda service: None, timeout_s=30)
    try:
        first = stack.status(folder, services)[0].pid
        assert first is not None
        with disk.being(how):
            psutil.Process(first).kill()
            supervisor = psutil.Process(json.loads((folder / STATUS).read_text())["pid"])
            wait_until(
                lambda: [child.pid for child in supervisor.children() if child.is_running()] not in ([], [first])
            )
            assert supervisor.is_running()
        # On a slow machine it may fall more than once before the disk is well.
        wait_until(lambda: [(now.state, now.restarts > 0) for now in stack.status(folder, services)] == [("up", True)])
    finally:
        stack.stop(folder)
