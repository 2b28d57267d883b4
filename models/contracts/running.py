"""How independent tasks are run: whoever calls says where, the results come back in order.

Pure code cuts its work into tasks and knows no processes; a runner of several processes, or machines, is made where
the pipeline is assembled. Results must not depend on the runner or on the number of its workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Runner(Protocol):
    """`workers`: how many tasks run at once, so into how many parts work should be cut."""

    @property
    def workers(self) -> int: ...

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]: ...


class InTurn:
    """One after the other, here."""

    workers = 1

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        return [task() for task in tasks]


IN_TURN: Runner = InTurn()
