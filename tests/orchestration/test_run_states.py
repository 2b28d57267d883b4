"""What may be said of a run after what, also when two say it at once: the database decides, whoever asks."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.contracts.runs import Asker, RunKind, RunStatus
from models.runs.plan import Cancelled, Outcome, Plan, Watch, unwatched
from models.runs.registry import Registry
from orchestration.requested_runs import compute_now
from orchestration.resources.runs import registry_of
from orchestration.resources.workspace import Workspace

QUEUED, RUNNING, DONE, FAILED, CANCELLED = RunStatus
OUTCOME = Outcome({"strategies": []})
# What was said before -> what may be said next.
ALLOWED: list[tuple[list[RunStatus], set[RunStatus]]] = [
    ([], {QUEUED, RUNNING, DONE}),
    ([QUEUED], {RUNNING, DONE, FAILED, CANCELLED}),
    ([QUEUED, RUNNING], {RUNNING, DONE, FAILED, CANCELLED}),
    ([RUNNING, FAILED], {QUEUED, DONE}),
    ([QUEUED, CANCELLED], {QUEUED}),
    ([QUEUED, CANCELLED, QUEUED], {RUNNING, DONE, FAILED, CANCELLED}),
    ([DONE], set()),
]


def plan_of(seed: int = 0, compute: Any = lambda watch: OUTCOME) -> Plan:
    return Plan(RunKind.BACKTEST, {"seed": seed}, "data", seed, 1, compute)


def record(workspace: Workspace, plan: Plan, status: RunStatus, registry: Registry | None = None) -> str:
    outcome, seconds = (OUTCOME, 0.5) if status is DONE else (None, None)
    own = registry or registry_of(workspace.warehouse)
    own.record(plan, status, Asker.API, workspace.now(), "simulated", outcome, seconds)
    return plan.identity.id


def told(workspace: Workspace, name: str) -> list[RunStatus]:
    rows = workspace.warehouse.rows("select status from risk.run_events where run = :id order by id", {"id": name})
    return [RunStatus(row["status"]) for row in rows]


@pytest.mark.parametrize(("before", "allowed"), ALLOWED)
def test_a_word_is_taken_only_where_it_may_follow(
    workspace: Workspace, before: list[RunStatus], allowed: set[RunStatus]
) -> None:
    registry = registry_of(workspace.warehouse)
    for seed, status in enumerate(RunStatus):
        name = plan_of(seed).identity.id
        for said in before:
            record(workspace, plan_of(seed), said)
        assert told(workspace, name) == before
        record(workspace, plan_of(seed), status)
        assert told(workspace, name) == before + [status] * (status in allowed)
        found = registry.find(name)
        has_result = found is not None and found.summary is not None
        assert has_result == (DONE in before or (status is DONE and DONE in allowed))


def test_whoever_says_it_hears_whether_it_was_taken(workspace: Workspace) -> None:
    registry, name = registry_of(workspace.warehouse), record(workspace, plan_of(), QUEUED)
    assert registry.say(name, CANCELLED, Asker.CLI)
    assert not registry.say(name, RUNNING, Asker.DAGSTER)


def test_a_cancel_is_not_lost_to_an_end_that_comes_at_the_same_time(workspace: Workspace, engine: Engine) -> None:
    """The end is said while the cancel is not yet committed, so neither sees the other: it waits, and is left out."""
    name = record(workspace, plan_of(), RUNNING)
    with engine.connect() as other:
        other.execute(
            text("insert into risk.run_events (run, status, said_by) values (:id, 'cancelled', 'cli')"), {"id": name}
        )
        late = threading.Thread(target=record, args=(workspace, plan_of(), DONE))
        late.start()
        while not workspace.warehouse.rows("select 1 from pg_locks where locktype = 'advisory' and not granted"):
            assert late.is_alive()
        other.commit()
        late.join()
    assert told(workspace, name) == [RUNNING, CANCELLED]
    found = registry_of(workspace.warehouse).find(name)
    assert found is not None
    assert (found.status, found.summary) == (CANCELLED, None)


def test_of_a_cancel_and_an_end_at_once_exactly_one_counts(workspace: Workspace) -> None:
    for seed in range(20):
        name = record(workspace, plan_of(seed), RUNNING)
        both = [
            threading.Thread(target=record, args=(workspace, plan_of(seed), DONE)),
            threading.Thread(target=registry_of(workspace.warehouse).say, args=(name, CANCELLED, Asker.CLI)),
        ]
        for each in both if seed % 2 else both[::-1]:
            each.start()
        for each in both:
            each.join()
        assert told(workspace, name) in ([RUNNING, DONE], [RUNNING, CANCELLED])


def test_the_newest_word_is_the_one_that_was_taken_last(workspace: Workspace, engine: Engine) -> None:
    """Numbers are drawn in the order in which words are taken, not in that in which their statements began."""
    name = record(workspace, plan_of(), RUNNING)
    registry = registry_of(workspace.warehouse)
    with engine.connect() as other:
        lock = "select pg_advisory_xact_lock(hashtextextended('risk.run_events ' || :id, 0))"
        other.execute(text(lock), {"id": name})
        waits = threading.Thread(target=registry.say, args=(name, FAILED, Asker.DAGSTER))
        waits.start()
        while not workspace.warehouse.rows("select 1 from pg_locks where locktype = 'advisory' and not granted"):
            assert waits.is_alive()
        other.execute(
            text("insert into risk.run_events (run, status, said_by) values (:id, 'running', 'cli')"), {"id": name}
        )
        other.commit()
        waits.join()
    assert told(workspace, name) == [RUNNING, RUNNING, FAILED]


def test_a_run_that_was_cancelled_while_it_was_computed_keeps_nothing(workspace: Workspace) -> None:
    registry, name = registry_of(workspace.warehouse), record(workspace, plan_of(), QUEUED)

    def slow(watch: Watch) -> Outcome:
        registry.say(name, CANCELLED, Asker.CLI)
        return OUTCOME

    with pytest.raises(Cancelled):
        compute_now(workspace, plan_of(0, slow), Asker.CLI, unwatched)
    assert told(workspace, name) == [QUEUED, CANCELLED]
    assert compute_now(workspace, plan_of(), Asker.CLI, unwatched).status is DONE  # asked for again
    assert told(workspace, name) == [QUEUED, CANCELLED, QUEUED, DONE]


@pytest.mark.parametrize(
    ("hours_ago", "bound", "expected_h"),
    [
        ((), 1, None),
        ((1,), 2, None),
        ((1,), 1, 23),
        ((30, 1), 2, None),  # the first is forgotten
        ((20, 10, 1), 3, 4),  # there is room when the first of three is a day old
        ((20, 10, 1), 2, 14),
        ((20, 10, 1), 1, 23),
    ],
)
def test_room_comes_back_when_the_oldest_that_counts_is_a_day_old(
    workspace: Workspace, engine: Engine, hours_ago: tuple[int, ...], bound: int, expected_h: float | None
) -> None:
    for seed, ago in enumerate(hours_ago):
        name = record(workspace, plan_of(seed), QUEUED)
        with engine.begin() as connection:  # as nobody but a superuser can: history does not change otherwise
            connection.execute(text("set local session_replication_role = replica"))
            moved = (
                "update risk.run_events set recorded_at = recorded_at - make_interval(hours => :ago) where run = :id"
            )
            connection.execute(text(moved), {"ago": ago, "id": name})
    registry = registry_of(workspace.warehouse)
    told_s = registry.room_in_s(QUEUED, bound)
    assert told_s == (None if expected_h is None else pytest.approx(expected_h * 3_600, abs=60))
    assert registry.room_in_s(DONE, 1) is None


@pytest.mark.parametrize("by", [Asker.CLI, Asker.DAGSTER])
def test_only_what_the_api_was_asked_for_counts(workspace: Workspace, by: Asker) -> None:
    registry = registry_of(workspace.warehouse)
    assert registry.record(plan_of(), QUEUED, by, workspace.now(), "simulated")
    assert registry.room_in_s(QUEUED, 1) is None


def test_of_two_who_ask_at_once_one_hears_that_he_was_first(workspace: Workspace) -> None:
    for seed in range(10):
        heard: list[bool] = []
        together = threading.Barrier(2)

        def ask(seed: int = seed, heard: list[bool] = heard, together: threading.Barrier = together) -> None:
            together.wait()
            own = registry_of(workspace.warehouse)
            heard.append(own.record(plan_of(seed), QUEUED, Asker.API, workspace.now(), "simulated"))

        both = [threading.Thread(target=ask) for _ in range(2)]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert sorted(heard) == [False, True]
        assert told(workspace, plan_of(seed).identity.id) == [QUEUED]


def test_what_is_open_is_found_without_reading_results(workspace: Workspace) -> None:
    """However many runs are done, and whatever was said of them: results are read only of what was found."""
    waits = [record(workspace, plan_of(seed), QUEUED) for seed in range(3)]
    workspace.warehouse.execute("""
        insert into risk.runs (id, kind, input_hash, inputs, data_hash, code_hash, environment_hash, environment, seed,
            work, requested_by, requested_at, data_mode)
        select 'old-' || n, 'backtest', '', '{}', '', '', '', '{}', 0, 1, 'api', now(), 'simulated'
        from generate_series(1, 2000) as n""")
    for status in ("queued", "done"):
        workspace.warehouse.execute(
            f"insert into risk.run_events (run, status, said_by) select id, '{status}', 'api' from risk.runs "
            "where id like 'old-%'"
        )
    workspace.warehouse.execute(
        "insert into risk.run_results (run, summary, curve, trades, seconds) "
        "select id, jsonb_build_object('a', repeat(id, 50)), '{}', '{}', 1 from risk.runs where id like 'old-%'"
    )
    workspace.warehouse.execute("analyze risk.runs; analyze risk.run_events; analyze risk.run_results")
    asked: list[tuple[str, Any]] = []

    def ask(statement: str, values: Any) -> Any:
        asked.append((statement, values))
        return workspace.warehouse.rows(statement, values)

    assert [run.id for run in Registry(ask).open(20)] == waits
    plan = workspace.warehouse.rows(f"explain (analyze, costs off, timing off) {asked[0][0]}", asked[0][1])
    shown = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Seq Scan on run_results" not in shown, shown
    assert "rows=2000" not in "".join(line for line in shown.splitlines() if "run_results" in line), shown
