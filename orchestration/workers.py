"""Where independent tasks of the pipeline are run: processes of this machine, or a Ray cluster where one is named.

Threads do not do: an optimiser that hands the interpreter lock over at every step is ten times slower in two threads,
and boosted trees hold a lock of their own.
"""

from __future__ import annotations

import pickle
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar
from urllib.parse import urlsplit

from models.contracts.running import IN_TURN, Runner
from orchestration import quiet
from orchestration.settings import PROJECT_ROOT, SettingsError

Result = TypeVar("Result")

WORTH_PROCESSES = 10_000  # rows of a panel: with fewer, work is done before a process has imported what it needs
ROOMS = ("models", "keeper", "orchestration")  # what a task may import of ours
NUMERICAL = ("numpy", "scipy", "pandas", "numba", "scikit-learn", "lightgbm", "arch")  # another version, another number
ANSWERS_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Processes:
    """A pool of `workers` processes, started at the first call and kept; idle ones end by themselves."""

    workers: int

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        from joblib import Parallel, delayed, parallel_config

        with parallel_config("loky", n_jobs=self.workers, inner_max_num_threads=1):
            return list(Parallel(batch_size=1, pre_dispatch="all")(delayed(_called)(task) for task in tasks))


@dataclass(frozen=True, slots=True)
class Cluster:
    """All CPUs of a Ray cluster, connected to at the first call and until the process ends.

    `address`: `auto` or HOST:PORT on a machine of the cluster, ray://HOST:PORT from elsewhere, `local` for one that is
    started here. Its machines need the packages; our code travels with the connection.
    """

    address: str

    @property
    def workers(self) -> int:
        return max(1, int(self._connected().cluster_resources().get("CPU", 1)))

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        ray = self._connected()
        called, here = ray.remote(_called_there), installed()
        try:
            answers = ray.get([called.remote(here, ray.cloudpickle.dumps(task)) for task in tasks])
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error  # as it was raised; its traceback on the cluster stands above it
        return [pickle.loads(answer) for answer in answers]

    def _connected(self) -> Any:
        with quiet.libraries():
            try:
                import ray
            except ModuleNotFoundError:
                raise SettingsError(
                    "BALLAST_RAY_ADDRESS names a cluster, but ray is not installed: pip install 'ballast[distributed]'"
                ) from None
            if not ray.is_initialized():
                _refuse_silence(self.address)
                try:
                    with _kept_sigterm():
                        ray.init(
                            address=self.address,
                            runtime_env={
                                "py_modules": [str(PROJECT_ROOT / room) for room in ROOMS],
                                "excludes": ["__pycache__"],
                            },
                            log_to_driver=False,
                            logging_level="error",
                            include_dashboard=False,
                        )
                except (ConnectionError, ValueError, RuntimeError) as error:
                    raise _no_connection(self.address, error) from error
        return ray


def runner_for(rows: int, workers: int, cluster: str | None = None) -> Runner:
    """Processes, or the cluster, if a panel of so many rows is worth them."""
    if rows < WORTH_PROCESSES:
        return IN_TURN
    if cluster is not None:
        return Cluster(cluster)
    return Processes(workers) if workers > 1 else IN_TURN


def installed() -> dict[str, str]:
    """Version of each package that numbers depend on; `missing` where there is none."""
    return {name: _version(name) for name in NUMERICAL}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _called(task: Callable[[], Result]) -> Result:
    with quiet.libraries():  # what the caller has silenced here speaks there
        return task()


def _called_there(asked_by: Mapping[str, str], task: bytes) -> bytes:
    """The answer of a task, unless this machine would compute another one than the machine that asks.

    Both are pickled here: arrays that Ray itself unpacks are read-only and keep their place in the cluster's memory.
    """
    here = installed()
    other = [f"{name} {here[name]} instead of {wanted}" for name, wanted in asked_by.items() if here[name] != wanted]
    if other:
        raise SettingsError(
            f"BALLAST_RAY_ADDRESS: {socket.gethostname()} of the cluster has {', '.join(other)}: "
            "install the packages of requirements.lock there"
        )
    return pickle.dumps(_called(pickle.loads(task)))


def _refuse_silence(address: str) -> None:
    """Ray waits a quarter of an hour for a port on which nothing listens, and cannot be interrupted meanwhile."""
    url = urlsplit(address if "://" in address else f"//{address}")
    try:
        if url.hostname and url.port:
            socket.create_connection((url.hostname, url.port), timeout=ANSWERS_WITHIN_S).close()
    except (OSError, ValueError) as error:
        raise _no_connection(address, error) from None


def _no_connection(address: str, error: Exception) -> SettingsError:
    said = " ".join(str(error).split())
    return SettingsError(
        f"BALLAST_RAY_ADDRESS: no connection to {address} ({said}); start the cluster or correct the address, "
        "or unset the variable: processes of this machine then do the work"
    )


@contextmanager
def _kept_sigterm() -> Iterator[None]:
    """Ray takes the signal over, and a run that Dagster ends would be a failed one instead of a cancelled one."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
