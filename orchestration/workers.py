"""Where independent tasks of the pipeline are run: processes of this machine, or a Ray cluster where one is named.

Threads do not do: an optimiser that hands the interpreter lock over at every step is ten times slower in two threads,
and boosted trees hold a lock of their own.
"""

from __future__ import annotations

import pickle
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar
from urllib.parse import urlsplit

from models.contracts.running import IN_TURN, Runner
from orchestration import quiet
from orchestration.settings import PROJECT_ROOT, SettingsError

Result = TypeVar("Result")

WORTH_PROCESSES = 10_000  # rows of a panel: with fewer, work is done before a process has imported what it needs
WORTH_CLUSTER = 500_000_000  # units of work of a run, ten seconds of one core
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

    `address`: `auto` or HOST:PORT on a machine of the cluster, ray://HOST:PORT from elsewhere. What its machines must
    have stands in docs/architecture.md.
    """

    address: str

    @property
    def workers(self) -> int:
        return max(1, int(self._connected().cluster_resources().get("CPU", 1)))

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        ray = self._connected()
        called, here = ray.remote(_called_there), installed()
        try:
            asked = [called.remote(here, ray.cloudpickle.dumps(task)).future() for task in tasks]
            answers = [future.result() for future in asked]  # `ray.get` is deaf to a run that is being cancelled
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
                _connect(ray, self.address)
        return ray


def runner_for(rows: int, workers: int, cluster: str | None = None) -> Runner:
    """Processes, or the cluster, if a panel of so many rows is worth them."""
    if rows < WORTH_PROCESSES:
        return IN_TURN
    if cluster is not None:
        return Cluster(cluster)
    return Processes(workers) if workers > 1 else IN_TURN


def cluster_for(work: int, cluster: str | None) -> Cluster | None:
    """The cluster that is named, if a run of `work` units of `models.runs.bounds` is worth it."""
    return Cluster(cluster) if cluster is not None and work >= WORTH_CLUSTER else None


def installed() -> dict[str, str]:
    """Version of each package that numbers depend on; `missing` where there is none."""
    return {name: _version(name) for name in NUMERICAL}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _connect(ray: Any, address: str) -> None:
    url = urlsplit(address if "://" in address else f"//{address}")
    before = signal.getsignal(signal.SIGTERM)
    try:
        if url.port:  # where nothing listens Ray waits for minutes, and cannot be interrupted meanwhile
            socket.create_connection((url.hostname, url.port), timeout=ANSWERS_WITHIN_S).close()
        ray.init(
            address=address,
            runtime_env={
                "py_modules": [str(PROJECT_ROOT / room) for room in ROOMS],
                "excludes": ["__pycache__"],
            },
            log_to_driver=False,
            logging_level="error",
            include_dashboard=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(
            f"BALLAST_RAY_ADDRESS: no connection to {address} ({' '.join(str(error).split())}); start the cluster, "
            "correct the address, or set RAY_AUTH_MODE and RAY_AUTH_TOKEN if it asks for a token; "
            "without the variable processes of this machine do the work"
        ) from error
    finally:  # Ray takes the signal over: a run that Dagster cancels would count as a failed one
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


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
        raise _other_packages(", ".join(other))
    try:
        return pickle.dumps(_called(pickle.loads(task)))
    except ModuleNotFoundError as error:
        raise _other_packages(f"no module {error.name}") from error


def _other_packages(found: str) -> SettingsError:
    return SettingsError(
        f"BALLAST_RAY_ADDRESS: {socket.gethostname()} of the cluster has {found}: "
        "install the packages of requirements.lock there"
    )
