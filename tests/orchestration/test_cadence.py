from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.cadence import DAY, HOUR, WEEK, cron_for


@pytest.mark.parametrize(
    ("period", "speed", "cron"),
    [
        (HOUR, 1, "2 * * * *"),
        (HOUR, 2, "*/30 * * * *"),
        (HOUR, 7, "*/6 * * * *"),  # 8.6 minutes: six divides the hour, eight does not
        (HOUR, 60, "* * * * *"),  # a simulated hour a minute
        (HOUR, 3600, "* * * * *"),  # cron knows nothing finer: a run covers several market hours
        (DAY, 1, "2 3 * * *"),
        (DAY, 60, "*/20 * * * *"),
        (DAY, 5, "2 */4 * * *"),
        (WEEK, 1, "2 3 * * 0"),
        (WEEK, 7, "2 3 * * *"),
        (WEEK, 60, "2 */2 * * *"),
        (WEEK, 168, "2 * * * *"),
    ],
)
def test_a_market_period_becomes_a_cron_line(period: timedelta, speed: float, cron: str) -> None:
    assert cron_for(period, speed) == cron


def test_ticks_are_placed_inside_the_hour_and_day() -> None:
    assert cron_for(DAY, 1, minute=40, hour=5) == "40 5 * * *"
