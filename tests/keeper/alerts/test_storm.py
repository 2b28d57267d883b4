"""Messages of a storm: bounded in every hour, worst first, nothing kept back for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.alerts.alert import Severity
from keeper.alerts.storm import HOUR, LEAST_AN_HOUR, SUMMARY_APART, Plan, Sent, Waiting, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
W, C = Severity.WARNING, Severity.CRITICAL


def queue(*severities: Severity, recoveries: int = 0) -> list[Waiting]:
    over = [Waiting(100 + n, C, True) for n in range(recoveries)]
    return [*over, *(Waiting(n, severity, False) for n, severity in enumerate(severities))]


def sent(singles: int, *summaries_min_ago: int) -> list[Sent]:
    told = [Sent(NOW - timedelta(minutes=30), False)] * singles
    return [*told, *(Sent(NOW - timedelta(minutes=m), True) for m in summaries_min_ago)]


@pytest.mark.parametrize(
    ("waiting", "before", "expected"),
    [
        pytest.param(queue(), sent(0), Plan((), ()), id="nothing"),
        pytest.param(queue(W, C, W), sent(0), Plan((1, 0, 2), ()), id="worst-first"),
        pytest.param(queue(W, recoveries=1), sent(0), Plan((0, 100), ()), id="recoveries-last"),
        pytest.param(queue(W, W, C, W, W), sent(0), Plan((2, 0, 1, 3), (4,)), id="four-of-ten-alone"),
        pytest.param(queue(W, C), sent(4), Plan((), (1, 0)), id="the-rest-in-one"),
        pytest.param(queue(W), sent(4, 9), Plan((), ()), id="summaries-ten-minutes-apart"),
        pytest.param(queue(W), sent(4, 10), Plan((), (0,)), id="the-next-summary"),
        pytest.param(queue(W), [Sent(NOW - HOUR, False)] * 4, Plan((0,), ()), id="an-hour-later"),
        pytest.param(queue(W), [Sent(NOW + HOUR, True)] * 9, Plan((0,), ()), id="told-by-a-clock-that-was-ahead"),
        pytest.param(queue(W, W, W, W, W), sent(0, -30), Plan((0, 1, 2, 3), (4,)), id="and-its-summary"),
    ],
)
def test_a_plan_with_ten_messages_an_hour(waiting: list[Waiting], before: list[Sent], expected: Plan) -> None:
    assert plan(waiting, before, NOW, 10) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=60, max_size=180), st.integers(LEAST_AN_HOUR, 40))
def test_no_hour_has_more_and_no_alert_waits_longer(arrivals: list[int], an_hour: int) -> None:
    """A pass a minute; `arrivals`: new alerts of each minute."""
    pending: dict[int, datetime] = {}
    told: list[Sent] = []
    next_id = 0
    for minute, new in enumerate(arrivals):
        now = NOW + timedelta(minutes=minute)
        pending |= {next_id + n: now for n in range(new)}
        next_id += new
        made = plan([Waiting(i, W, False) for i in pending], told, now, an_hour)
        assert len({*made.single, *made.summary}) == len(made.single) + len(made.summary)
        told += [Sent(now, False)] * len(made.single) + [Sent(now, True)] * bool(made.summary)
        for event in (*made.single, *made.summary):
            del pending[event]
        assert sum(now - message.at < HOUR for message in told) <= an_hour
        assert all(now - since < SUMMARY_APART for since in pending.values())
