"""Runs that wait: computed in turn, failed with a reason, cancelled, cut off; one job at a time."""

from __future__ import annotations

import logging

import dagster as dg
import pytest
from sqlalchemy import text

from models.backtest import standard
from models.contracts.runs import Asker, RunKind, RunStatus
from models.contracts.tables import RISK_RUNS
from models.runs.plan import Plan, unwatched
from models.runs.registry import Registry, StoredRun
from orchestration import requested_runs
from orchestration.assets.backtests import requested_runs as job
from orchestration.requested_runs import CUT_OFF, compute_now, compute_waiting
from orchestration.resources.runs import market_of, registry_of
from orchestration.resources.workspace import Workspace
from orchestration.sensors import runs_request, sensors
from orchestration.settings import load_settings
from tests.stored_market import SMALL, write_market

LOG = logging.getLogger(__name__)


@pytest.fixture
def market(workspace: Workspace) -> Workspace:
    write_market(workspace.warehouse.engine)
    return workspace


def queue(workspace: Workspace, seed: int = 0) -> str:
    plan = standard.plan({**SMALL, "seed": seed}, market_of(workspace.warehouse))
    registry_of(workspace.warehouse).record(plan, RunStatus.QUEUED, Asker.API, workspace.now(), "simulated")
    return plan.identity.id


def stored(workspace: Workspace, name: str) -> StoredRun:
    found = registry_of(workspace.warehouse).find(name)
    assert found is not None
    return found


def test_what_waits_is_computed_in_turn_and_equals_what_is_computed_at_once(market: Workspace) -> None:
    names = [queue(market, seed) for seed in (1, 0)]
    assert compute_waiting(market, "r1", LOG) == names
    for name in names:
        run = stored(market, name)
        assert (run.status, run.said_by, run.requested_by) == (RunStatus.DONE, "dagster", "api")
        again = standard.plan({**SMALL, "seed": run.seed}, market_of(market.warehouse))
        outcome = again.compute(unwatched)
        assert again.identity.id == name
        assert run.summary == outcome.summary
        assert registry_of(market.warehouse).course(name) == (outcome.curve, outcome.trades)
    assert compute_waiting(market, "r2", LOG) == []


def test_a_run_that_is_done_is_not_computed_again(market: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = standard.plan(SMALL, market_of(market.warehouse))
    done = compute_now(market, plan, Asker.CLI, unwatched)

    def never(question: object, watch: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(standard, "_run", never)
    assert compute_now(market, standard.plan(SMALL, market_of(market.warehouse)), Asker.CLI, unwatched) == done


def test_a_run_whose_data_changed_is_computed_under_its_new_id(market: Workspace) -> None:
    name = queue(market)
    market.warehouse.execute("update features.bar_returns set close = close * 1.01 where ts = '2025-01-01+00'")
    compute_waiting(market, "r1", LOG)
    old = stored(market, name)
    assert old.status is RunStatus.FAILED
    new = standard.plan(SMALL, market_of(market.warehouse)).identity.id
    assert old.detail == f"the data or the code changed while it waited; it was computed as {new}"
    assert stored(market, new).status is RunStatus.DONE


def test_a_run_that_fails_stops_nobody(market: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = queue(market, 1), queue(market, 2)
    plan_of = standard.plan_of

    def broken(inputs, data):  # type: ignore[no-untyped-def]
        if inputs.seed == 1:
            raise ZeroDivisionError("by zero")
        return plan_of(inputs, data)

    monkeypatch.setattr(standard, "plan_of", broken)
    assert compute_waiting(market, "r1", LOG) == [bad, good]
    assert (stored(market, bad).status, stored(market, bad).detail) == (RunStatus.FAILED, "ZeroDivisionError: by zero")
    assert stored(market, good).status is RunStatus.DONE


def test_data_that_went_away_are_a_reason(market: Workspace) -> None:
    name = queue(market)
    market.warehouse.execute("delete from features.bar_returns where ts > '2024-06-01'")
    compute_waiting(market, "r1", LOG)
    assert stored(market, name).status is RunStatus.FAILED
    assert "usable days are needed" in (stored(market, name).detail or "")


def test_a_run_that_was_cut_off_is_failed_by_the_next_job(market: Workspace) -> None:
    name = queue(market)
    registry_of(market.warehouse).say(name, RunStatus.RUNNING, Asker.DAGSTER, "40 %", "dead")
    assert compute_waiting(market, "r1", LOG) == []
    assert (stored(market, name).status, stored(market, name).detail) == (RunStatus.FAILED, CUT_OFF)


def test_two_jobs_are_never_at_it_at_once(market: Workspace) -> None:
    name = queue(market)
    with market.warehouse.engine.begin() as other:
        other.execute(text("select pg_advisory_xact_lock(hashtext(:table))"), {"table": RISK_RUNS})
        assert compute_waiting(market, "r1", LOG) == []
    assert stored(market, name).status is RunStatus.QUEUED


def cancelling(registry: Registry, name: str, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is cancelled by somebody else right after it began."""
    say = Registry.say

    def then_cancel(own: Registry, run: str, status: RunStatus, *rest: object) -> bool:
        taken = say(own, run, status, *rest)  # type: ignore[arg-type]
        if status is RunStatus.RUNNING:
            say(registry, run, RunStatus.CANCELLED, Asker.CLI)
        return taken

    monkeypatch.setattr(Registry, "say", then_cancel)


def test_a_cancelled_run_ends_at_its_next_word(market: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, begins = queue(market, 1), queue(market, 2)
    registry = registry_of(market.warehouse)
    registry.say(waits, RunStatus.CANCELLED, Asker.CLI)
    cancelling(registry, begins, standard.plan(SMALL, market_of(market.warehouse)), monkeypatch)
    assert compute_waiting(market, "r1", LOG) == [begins]
    for name in (waits, begins):
        assert (stored(market, name).status, stored(market, name).summary) == (RunStatus.CANCELLED, None)


def test_a_run_says_how_far_it_is(market: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requested_runs, "_ONCE_PER_S", 0.0)
    name = queue(market)
    compute_waiting(market, "r1", LOG)
    told = market.warehouse.rows("select status, detail from risk.run_events where run = :id order by id", {"id": name})
    assert [row["status"] for row in told] == ["queued", *["running"] * 6, "done"]
    assert [row["detail"] for row in told][2:-1] == ["0%", "20%", "40%", "60%", "80%"]


def test_the_job_computes_what_waits(market: Workspace) -> None:
    name = queue(market)
    done = job.execute_in_process(resources={"workspace": market})
    assert done.success
    registry = Workspace.of(load_settings({}), market.warehouse_url)
    assert stored(registry, name).status is RunStatus.DONE
    registry.close()


@pytest.mark.parametrize(
    ("waiting", "busy", "expected"),
    [(False, False, "no run waits"), (True, True, "the job still computes"), (True, False, None)],
)
def test_what_the_queue_asks_for(waiting: bool, busy: bool, expected: str | None) -> None:
    found = runs_request(waiting, busy)
    assert (found.skip_message if isinstance(found, dg.SkipReason) else found.run_key) == expected


def asked(market: Workspace, instance: dg.DagsterInstance) -> int:
    """How many jobs the sensor asks for."""
    (sensor,) = [s for s in sensors(load_settings({})) if s.name == "requested_runs_sensor"]
    with dg.build_sensor_context(instance=instance, resources={"workspace": market}) as context:
        return len(sensor.evaluate_tick(context).run_requests or [])


def test_the_sensor_looks_at_the_queue(market: Workspace) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert asked(market, instance) == 0
        queue(market)
        assert asked(market, instance) == 1
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert asked(market, instance) == 0


def test_a_run_whose_process_died_asks_for_the_job_that_ends_it(market: Workspace) -> None:
    """Nothing else waits: were it not asked for, the run would seem to be computed for ever."""
    name = queue(market)
    registry_of(market.warehouse).say(name, RunStatus.RUNNING, Asker.DAGSTER, "40%", "dead")
    with dg.DagsterInstance.ephemeral() as instance:
        assert asked(market, instance) == 1
        compute_waiting(market, "r1", LOG)
        assert asked(market, instance) == 0
    assert (stored(market, name).status, stored(market, name).detail) == (RunStatus.FAILED, CUT_OFF)
    assert compute_waiting(market, "r2", LOG) == []
    queue(market)  # it may be asked for again
    assert compute_waiting(market, "r3", LOG) == [name]


def test_lists_are_filtered_in_the_database(market: Workspace) -> None:
    names = [queue(market, seed) for seed in range(3)]
    registry = registry_of(market.warehouse)
    newest = registry.page(RunKind.BACKTEST, 2)
    assert [run.id for run in newest] == names[:0:-1]
    rest = registry.page(RunKind.BACKTEST, 2, before=(newest[-1].recorded_at, newest[-1].id))
    assert [run.id for run in rest] == names[:1]
    assert registry.page(RunKind.SIMULATION, 9) == []
    assert [run.id for run in registry.open(9)] == names
