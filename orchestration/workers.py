"""Where independent tasks of the pipeline are run: processes of this machine, or a Ray cluster where one is named.

Threads do not do: an optimiser that hands the interpreter lock over at every step is ten times slower in two threads,
and boosted trees hold a lock of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from models.contracts.running import IN_TURN, Runner
from orchestration import quiet
from orchestration.settings import SettingsError

Result = TypeVar("Result")

WORTH_PROCESSES = 10_000  # rows of a panel: with fewer, work is done before a process has imported what it needs


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
    """All CPUs of a Ray cluster; its machines have the same version of Ballast installed. `local`: one started here."""

    address: str

    @property
    def workers(self) -> int:
        return max(1, int(self._connected().cluster_resources().get("CPU", 1)))

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        ray = self._connected()
        remote = ray.remote(_called)
        return list(ray.get([remote.remote(task) for task in tasks]))

    def _connected(self) -> Any:
        try:
            import ray
        except ModuleNotFoundError:
            raise SettingsError(
                "BALLAST_RAY_ADDRESS names a cluster, but ray is not installed: pip install 'ballast[distributed]'"
            ) from None
        if not ray.is_initialized():
            ray.init(address=self.address, log_to_driver=False, logging_level="error", include_dashboard=False)
        return ray


def runner_for(rows: int, workers: int, cluster: str | None = None) -> Runner:
    """Processes, or the cluster, if a panel of so many rows is worth them."""
    if rows < WORTH_PROCESSES:
        return IN_TURN
    if cluster is not None:
        return Cluster(cluster)
    return Processes(workers) if workers > 1 else IN_TURN


def _called(task: Callable[[], Result]) -> Result:
    with quiet.libraries():  # what the caller has silenced here speaks there
        return task()
