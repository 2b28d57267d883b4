"""Computing runs that wait in the registry, one after the other: what the job does, and what the command line does by
hand.

A run says how far it is as it goes; whoever cancels it is heard at the next word. One that was cut off by the end of
its process is failed by the next job, which alone may be at work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy import text

from models.contracts.runs import OPEN, Asker, RunStatus
from models.contracts.tables import RISK_RUNS
from models.runs.kinds import KINDS
from models.runs.plan import Cancelled, Plan, RequestError, Watch
from models.runs.registry import Registry, StoredRun
from orchestration.resources.runs import market_of, registry_of
from orchestration.resources.workspace import Workspace

_ONCE_PER_S = 5.0  # between two words about how far a run is
_MANY = 1_000
CUT_OFF = "the process that computed it ended before it did: ask again"


class Log(Protocol):
    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...


def compute_waiting(workspace: Workspace, run_id: str, log: Log) -> list[str]:
    """Compute every run that waits, oldest first, also those that come meanwhile; returns their ids.

    Nothing is done while another process is at it.
    """
    registry, done = registry_of(workspace.warehouse), list[str]()
    with _alone(workspace) as is_alone:
        if not is_alone:
            log.info("another process computes what waits")
            return done
        for cut_off in registry.open(_MANY, [RunStatus.RUNNING]):
            registry.say(cut_off.id, RunStatus.FAILED, Asker.DAGSTER, CUT_OFF, run_id)
            log.warning(f"{cut_off.id}: {CUT_OFF}")
        while waiting := registry.open(1, [RunStatus.QUEUED]):
            _compute_one(workspace, registry, waiting[0], run_id, log)
            done.append(waiting[0].id)
    return done


def compute_now(workspace: Workspace, plan: Plan, by: Asker, watch: Watch, run_id: str | None = None) -> StoredRun:
    """Compute a run here, unless it is done already, and store it; one that was cancelled is asked for again.

    Raises
    ------
    Cancelled
        If the watch does, or the run was cancelled while it was computed: then nothing of it is stored.
    """
    registry = registry_of(workspace.warehouse)
    found = registry.find(plan.identity.id)
    if found is not None and found.status is RunStatus.CANCELLED:
        registry.say(found.id, RunStatus.QUEUED, by, run_id=run_id)
    return _computed(workspace, registry, plan, by, watch, run_id)


def _computed(
    workspace: Workspace, registry: Registry, plan: Plan, by: Asker, watch: Watch, run_id: str | None
) -> StoredRun:
    found = registry.find(plan.identity.id)
    if found is None or found.status is not RunStatus.DONE:
        began = time.monotonic()
        cluster = workspace.cluster(plan.work)
        outcome = plan.compute(watch) if cluster is None or plan.share is None else plan.share(watch, cluster)
        seconds = time.monotonic() - began
        registry.record(
            plan, RunStatus.DONE, by, workspace.now(), workspace.mode.value, outcome, seconds, run_id=run_id
        )
        found = registry.find(plan.identity.id)
    assert found is not None
    if found.status is not RunStatus.DONE:
        raise Cancelled(found.id)
    return found


def _compute_one(workspace: Workspace, registry: Registry, run: StoredRun, run_id: str, log: Log) -> None:
    if not registry.say(run.id, RunStatus.RUNNING, Asker.DAGSTER, None, run_id):
        log.info(f"{run.id}: wanted no more, or computed by another")
        return
    try:
        plan = KINDS[run.kind].replan(run.inputs, market_of(workspace.warehouse))
        made = _computed(workspace, registry, plan, Asker.DAGSTER, _Watched(registry, run.id, run_id), run_id)
        if made.id != run.id:
            why = f"the data or the code changed while it waited; it was computed as {made.id}"
            registry.say(run.id, RunStatus.FAILED, Asker.DAGSTER, why, run_id)
        log.info(f"{made.id}: done in {made.seconds:.1f} s")
    except Cancelled as gone:
        if str(gone) != run.id:  # data or code changed while it waited, and nobody wants what it became
            registry.say(run.id, RunStatus.FAILED, Asker.DAGSTER, f"it became {gone}, which was cancelled", run_id)
        log.info(f"{run.id}: wanted no more, or computed by another")
    except RequestError as error:
        registry.say(run.id, RunStatus.FAILED, Asker.DAGSTER, str(error), run_id)
        log.warning(f"{run.id}: {error}")
    except Exception as error:  # noqa: BLE001 - one run that fails must not stop those that wait behind it
        why = f"{type(error).__name__}: {str(error)[:300]}"
        registry.say(run.id, RunStatus.FAILED, Asker.DAGSTER, why, run_id)
        log.warning(f"{run.id}: {why}")


class _Watched:
    """Writes how far a run is, every few seconds, and hears when it is cancelled, or done by another."""

    def __init__(self, registry: Registry, run: str, run_id: str) -> None:
        self._registry, self._run, self._run_id = registry, run, run_id
        self._said = time.monotonic()

    def __call__(self, share: float) -> None:
        found = self._registry.find(self._run)
        if found is None or found.status not in OPEN:
            raise Cancelled(self._run)
        if time.monotonic() - self._said >= _ONCE_PER_S:
            self._said = time.monotonic()
            if not self._registry.say(self._run, RunStatus.RUNNING, Asker.DAGSTER, f"{share:.0%}", self._run_id):
                raise Cancelled(self._run)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[bool]:
    """Whether nobody else computes what waits; nobody begins to while the block lasts."""
    with workspace.warehouse.transaction() as connection:
        taken = connection.execute(text("select pg_try_advisory_xact_lock(hashtext(:table))"), {"table": RISK_RUNS})
        yield bool(taken.scalar_one())
