"""The supervisor with real processes: all come up, all go down, falls are healed, nothing is ever left behind."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestration.local import processes, stack
from orchestration.local.locks import Busy, hold, is_held
from orchestration.local.services import Service
from orchestration.local.supervisor import LOCK, STATUS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def page(name: str, port: int, *after: str) -> Service:
    argv = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    return Service(name, name.title(), argv, port=port, variable=f"{name.upper()}_PORT", probe="/", after=after)


def crashing(name: str) -> Service:
    argv = (sys.executable, "-c", "import sys; sys.exit('no such module: tides')")
    return Service(name, name, argv, port=free_port(), variable="X_PORT")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "market"
    stack.stop(tmp_path / "market")


def start(folder: Path, services: list[Service]) -> list[str]:
    ready: list[str] = []
    stack.start(folder, services, {}, lambda service: ready.append(service.name), timeout_s=30)
    return ready


def wait_until(condition: object, seconds: float = 60.0) -> None:
    """Poll a callable; real processes have no event to wait for. The bound is for what hangs, not for what is slow."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if condition():  # type: ignore[operator]
            return
        pause.wait(0.1)
    pytest.fail(f"{condition} did not become true in {seconds} s")


def test_up_then_down_leaves_no_process_lock_or_port(folder: Path) -> None:
    services = [page("api", free_port()), page("web", free_port(), "api")]
    assert start(folder, services) == ["api", "web"]
    assert [item.state for item in stack.status(folder, services)] == ["up", "up"]
    assert len(processes.marked(folder)) == 3

    assert stack.stop(folder) == 3
    assert processes.marked(folder) == []
    assert not (folder / LOCK).exists()
    assert all(processes.port_is_free("127.0.0.1", service.port or 0) for service in services)
    assert [item.state for item in stack.status(folder, services)] == ["down", "down"]
    assert stack.stop(folder) == 0


def test_second_start_is_refused_and_harmless(folder: Path) -> None:
    services = [page("api", free_port())]
    start(folder, services)
    with pytest.raises(stack.StackError, match="already up"):
        start(folder, services)
    assert stack.status(folder, services)[0].state == "up"


def test_taken_port_names_port_variable_and_owner(folder: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        with pytest.raises(stack.PortTaken) as raised:
            start(folder, [page("api", port)])
    message = str(raised.value)
    assert f"port {port} for Api is taken" in message
    assert "API_PORT" in message
    assert f"pid {psutil.Process().pid}" in message
    assert processes.marked(folder) == []


def test_service_that_cannot_start_ends_the_start_with_its_last_words(folder: Path) -> None:
    with pytest.raises(stack.StackError, match="no such module: tides"):
        start(folder, [page("api", free_port()), crashing("broken")])
    assert processes.marked(folder) == []
    assert not (folder / STATUS).exists()


def test_killed_service_is_started_again(folder: Path) -> None:
    services = [page("api", free_port())]
    start(folder, services)
    first = stack.status(folder, services)[0].pid
    assert first is not None
    psutil.Process(first).kill()
    wait_until(lambda: stack.status(folder, services)[0].restarts == 1)
    wait_until(lambda: stack.status(folder, services)[0].state == "up")
    again = stack.status(folder, services)[0]
    assert again.pid != first
    assert again.exit_code == -signal.SIGKILL


@pytest.mark.parametrize("then", ["down", "up"])
def test_kill_of_the_supervisor_heals(folder: Path, then: str) -> None:
    services = [page("api", free_port())]
    start(folder, services)
    supervisor = psutil.Process(json.loads((folder / STATUS).read_text())["pid"])
    supervisor.kill()
    supervisor.wait(10)
    assert len(processes.marked(folder)) == 1  # the orphan still holds its port
    assert not stack.is_running(folder)
    assert stack.status(folder, services)[0].state == "down"
    if then == "down":
        assert stack.stop(folder) == 1
    else:
        assert start(folder, services) == ["api"]
        stack.stop(folder)
    assert processes.marked(folder) == []


def test_lock_is_exclusive_and_goes_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.lock"
    assert not is_held(path)
    with hold(path, "taken"):
        assert is_held(path)
        with pytest.raises(Busy, match="taken"), hold(path, "taken"):
            pass
        assert is_held(path)
    assert not path.exists()
    path.touch()  # what a killed holder leaves behind
    assert not is_held(path)
    with hold(path, "taken"):
        assert is_held(path)


def test_port_owner_of_a_free_port_is_unknown() -> None:
    assert processes.port_owner(free_port()) is None


def test_last_words(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert stack.last_words(log) == f"nothing was written (log: {log})"
    log.write_text("Traceback\n  deep\nValueError: no tide\n\n")
    assert stack.last_words(log) == f"ValueError: no tide (log: {log})"
