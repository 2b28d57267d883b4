from datetime import UTC, date, datetime
from uuid import uuid4

import dagster as dg
import pytest

from models.contracts import jobs
from orchestration.partitions import Calendar
from orchestration.resources.workspace import Workspace
from orchestration.schedules import market_speed, reconcile_request, refresh_request, unfinished
from orchestration.settings import load_settings

CALENDAR = Calendar(date(2025, 12, 1), date(2026, 1, 12))


@pytest.mark.parametrize(
    ("now", "busy", "expected"),
    [
        (datetime(2026, 1, 1, 12, tzinfo=UTC), False, "2025-12-29"),
        (datetime(2026, 1, 5, tzinfo=UTC), False, "2026-01-05"),  # Monday midnight opens its own week
        (datetime(2026, 1, 1, 12, tzinfo=UTC), True, "the last refresh still runs; the next tick takes its hour along"),
        (
            datetime(2026, 1, 12, 1, tzinfo=UTC),
            False,
            "the calendar of this market ends before 2026-01-12: restart the stack to extend it",
        ),
    ],
)
def test_a_tick_asks_for_the_week_of_the_market(now: datetime, busy: bool, expected: str) -> None:
    found = refresh_request(now, CALENDAR, busy)
    assert (found.skip_message if isinstance(found, dg.SkipReason) else found.partition_key) == expected


@pytest.mark.parametrize(("market", "speed"), [("simulated", 60.0), ("live", 1.0)])
def test_only_a_market_of_the_past_can_be_sped_up(market: str, speed: float) -> None:
    settings = load_settings({"BALLAST_MARKET": market, "BALLAST_CLOCK_SPEED": "60"})
    assert market_speed(settings) == speed


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, True),
        (dg.DagsterRunStatus.STARTED, True),
        (dg.DagsterRunStatus.SUCCESS, False),
        (dg.DagsterRunStatus.FAILURE, False),
    ],
)
def test_a_job_is_unfinished_until_its_run_has_ended(status: dg.DagsterRunStatus, expected: bool) -> None:
    @dg.op
    def nothing() -> None: ...

    @dg.job(name=jobs.TRAINING)
    def training() -> None:
        nothing()

    with dg.DagsterInstance.ephemeral() as instance:
        instance.create_run_for_job(training, status=status)
        assert unfinished(instance, [jobs.TRAINING]) is expected
        assert not unfinished(instance, [jobs.KEEPER])


def intent(workspace: Workspace, state: str) -> None:
    """A decision of the keeper with an intent in `state`."""
    decision, own = uuid4(), uuid4()
    workspace.warehouse.append_table(
        "keeper.decisions",
        [
            {
                "id": decision, "vault_id": "mixed", "policy_version": "onoff-1", "score_as_of": None,
                "verdict": "rebalance", "reasons": [], "inputs": {}, "plan": {}, "data_mode": "simulated",
                "phase": "devnet", "market_time": workspace.now(), "run_id": "run",
            }
        ],
    )  # fmt: skip
    workspace.warehouse.append_table(
        "keeper.intents",
        [
            {
                "id": own, "decision_id": decision, "vault_id": "mixed", "source_account": "G", "action": "reduce",
                "plan": {}, "plan_hash": "", "state": state, "not_after": workspace.now(),
            }
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "asks"), [("submitted", True), ("unknown", True), ("confirmed", False), ("needs_human", False)]
)
def test_reconcile_runs_only_while_a_transaction_is_open(workspace: Workspace, state: str, asks: bool) -> None:
    intent(workspace, state)
    assert isinstance(reconcile_request(workspace), dg.RunRequest) is asks


def test_nothing_to_reconcile_counts_as_done(workspace: Workspace) -> None:
    for _ in range(2):
        assert isinstance(reconcile_request(workspace), dg.SkipReason)
    rows = workspace.warehouse.rows("select job, ok, market_time from ops.job_runs")
    assert rows == [{"job": jobs.KEEPER_RECONCILE, "ok": True, "market_time": workspace.now()}]
