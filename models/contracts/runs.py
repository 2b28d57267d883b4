"""Vocabulary of runs: what kinds of computation are registered, and how far one is."""

from __future__ import annotations

from enum import StrEnum


class RunKind(StrEnum):
    """What was computed. The name begins the id of a run."""

    BACKTEST = "backtest"
    SIMULATION = "simulation"


class RunStatus(StrEnum):
    """The newest event of a run. A failed or cancelled one may be asked for again."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


class Asker(StrEnum):
    """Who asked for a run, or said something about it."""

    API = "api"
    CLI = "cli"
    DAGSTER = "dagster"


class ScoreSource(StrEnum):
    """Which scores a policy is given in a backtest."""

    WALK_FORWARD = "walk_forward"  # what the gate would have published at each origin, out of sample: years of days
    ISSUED = "issued"  # what was issued at the time, hour by hour: since this market is scored
