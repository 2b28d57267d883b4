"""How often a job runs when the market's clock runs faster than the wall: market periods to cron lines. Pure."""

from __future__ import annotations

from datetime import timedelta

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)

# Only steps that divide the next unit evenly, so that ticks keep equal distances.
_MINUTES = (30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1)
_HOURS = (12, 8, 6, 4, 3, 2, 1)


def cron_for(period: timedelta, clock_speed: float, minute: int = 2, hour: int = 3) -> str:
    """Cron line (UTC) that ticks at least once in each market `period` at `clock_speed` market seconds per second.

    The wall period is rounded down to a step that cron can keep: never slower than the market, up to a minute, the
    finest that cron knows; beyond that one run covers several market periods. `minute` and `hour` place ticks of an
    hour and more: two minutes past, when the bar of the last hour is there.
    """
    wall = period / clock_speed
    if wall >= WEEK:
        return f"{minute} {hour} * * 0"
    if wall >= DAY:
        return f"{minute} {hour} * * *"
    if wall >= HOUR:
        step = next(h for h in _HOURS if timedelta(hours=h) <= wall)
        return f"{minute} * * * *" if step == 1 else f"{minute} */{step} * * *"
    step = next((m for m in _MINUTES if timedelta(minutes=m) <= wall), 1)
    return "* * * * *" if step == 1 else f"*/{step} * * * *"
