"""Running the stages of a bench one after the other: one that fails is told, the others still run.

What a stage measures is `orchestration.local.bench_conductor`; what its figures become, `orchestration.bench.document`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from orchestration.bench.document import Outcome
from orchestration.local.progress import Progress

# What a measurement may meet: a child or a server that gives up, a database that refuses, a file that is not there.
# All errors of ours are RuntimeErrors. Anything else is a defect and ends the bench; what was found by then is kept.
_MET = (RuntimeError, OSError, SQLAlchemyError)


@dataclass(frozen=True, slots=True)
class Stage:
    """`work` returns what it found. `needs`: stages without whose work this one has nothing to measure."""

    name: str
    work: Callable[[], dict[str, Any]]
    needs: tuple[str, ...] = ()


def run_stages(stages: Sequence[Stage], progress: Progress, keep: Callable[[Outcome], None]) -> Outcome:
    """Run all of them in order; `keep` is told after each what came of them until then."""
    outcome = Outcome()
    for stage in stages:
        began = time.perf_counter()
        progress.started(stage.name)
        reason = outcome.why_not(stage.needs)
        if reason is None:
            try:
                outcome.found[stage.name] = stage.work()
            except _MET as error:
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        outcome.seconds[stage.name], outcome.load[stage.name] = time.perf_counter() - began, os.getloadavg()[0]
        if reason is None:
            progress.finished(stage.name)
        else:
            outcome.failed[stage.name] = reason
            progress.failed(stage.name, reason)
        keep(outcome)
    return outcome
