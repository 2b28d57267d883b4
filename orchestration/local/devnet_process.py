"""A devnet for the length of a block: the one that runs already, or a process of our own that is ended afterwards."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestration.folders import logs
from orchestration.local import processes
from orchestration.local.progress import Progress
from orchestration.local.services import devnet_seed, service_table
from orchestration.settings import LOOPBACK, Settings, child_environment

START_TIMEOUT_S = 30.0
_PATIENCE_S = 5.0
_POLL_S = 0.1


class DevnetDown(RuntimeError):
    """The devnet cannot be reached; the message says what stands in its way."""


@contextmanager
def running_devnet(settings: Settings, progress: Progress) -> Iterator[None]:
    """Raises DevnetDown when the port belongs to something else or the process does not start."""
    service = next(item for item in service_table(settings) if item.name == "devnet")
    assert service.port is not None
    if settings.devnet_host != LOOPBACK:
        if not _is_devnet(settings):
            raise DevnetDown(
                f"no devnet answers at {settings.devnet_host}:{service.port} (BALLAST_DEVNET_HOST): start it"
            )
        yield
        return
    if not processes.port_is_free(LOOPBACK, service.port):
        if not _is_devnet(settings):
            owner = processes.port_owner(service.port)
            raise DevnetDown(
                f"port {service.port} for the devnet is taken{f' by {owner}' if owner else ''}: "
                "stop that process (another market's devnet is one, too) or set BALLAST_DEVNET_PORT to another port"
            )
        yield
        return
    progress.started("devnet")
    mark = {processes.STACK_MARKER: str(settings.workspace)}  # `down` finds it should this process be killed
    log = logs(settings) / "devnet-play.log"
    log.parent.mkdir(parents=True, exist_ok=True)  # a machine that only knows the database has no state folder yet
    with log.open("ab") as output:
        child = subprocess.Popen(
            service.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=child_environment(mark)
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_devnet(settings):
            if child.poll() is not None or time.monotonic() > deadline:
                raise DevnetDown(f"the devnet does not start on port {service.port}: see {log}")
            time.sleep(_POLL_S)
        progress.finished("devnet", detail=f"port {service.port}")
        yield
    finally:
        processes.end(processes.family(child.pid), _PATIENCE_S)
        child.wait()


def _is_devnet(settings: Settings) -> bool:
    """Whether this market's own chain answers on the port: prices and roles of another's must not be touched."""
    from keeper.devnet.admin import DevnetAdmin, DevnetUnavailable

    admin = DevnetAdmin(f"http://{settings.devnet_host}:{settings.devnet_port}")
    try:
        return admin.seed() == devnet_seed(settings)
    except DevnetUnavailable:
        return False
    finally:
        admin.close()
