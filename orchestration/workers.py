"""Where independent tasks of the pipeline are run: processes of this machine.

Threads do not do: an optimiser that hands the interpreter lock over at every step is ten times slower in two threads,
and boosted trees hold a lock of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from models.contracts.running import IN_TURN, Runner

Result = TypeVar("Result")

WORTH_PROCESSES = 10_000  # rows of a panel: with fewer, work is done before a process has imported what it needs


@dataclass(frozen=True, slots=True)
class Processes:
    """A pool of `workers` processes, started at the first call and kept; idle ones end by themselves."""

    workers: int

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        from joblib import Parallel, delayed

        return list(Parallel(n_jobs=self.workers, batch_size=1, pre_dispatch="all")(delayed(task)() for task in tasks))


def runner_for(rows: int, workers: int) -> Runner:
    """Processes if a panel of so many rows is worth them."""
    return Processes(workers) if workers > 1 and rows >= WORTH_PROCESSES else IN_TURN
