from datetime import UTC, date, datetime

import dagster as dg
import pytest

from models.contracts import jobs
from orchestration.partitions import Calendar
from orchestration.schedules import market_speed, refresh_request, unfinished
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
