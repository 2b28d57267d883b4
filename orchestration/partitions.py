"""The calendar of the raw assets: weekly partitions (Monday, UTC) on the market's own clock.

Why weeks, not days: PostgreSQL storage writes one "planned" event for each partition of a run, 10 ms each, and
does not batch them. Eight years of four assets cost 123 s as days (12,052 events) and 13 s as weeks, measured on two
cores; a hole is still a square of the UI that can be run again, and `ops.gaps` names its hours.

Why a file: Dagster loads definitions without a database. `write_calendar` leaves what it needs in the market's
workspace: the first week, and for a market in the past the week in which the partitions end. A clock that is sped
up would leave a calendar that follows the wall clock, so such a market gets a year of future weeks each time that
it is prepared; a live market has no end and always includes the current week.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg

from models.contracts.market import DataMode
from orchestration.settings import Settings

WEEK = timedelta(days=7)
_AHEAD = timedelta(days=371)  # a year of weeks: six days of a clock at 60 times speed before a restart is due


@dataclass(frozen=True, slots=True)
class Calendar:
    """First Monday, and the Monday on which the partitions end (None: they follow the wall clock)."""

    start: date
    end: date | None


# Before a market is prepared there is nothing to run; the graph can still be loaded and drawn.
UNPREPARED = Calendar(date(2017, 1, 2), None)


@dataclass(frozen=True, slots=True)
class Window:
    """Start of the observations to fetch, None for the beginning of all history; end exclusive, by event time."""

    start: datetime | None
    end: datetime


def monday(moment: date) -> date:
    return moment - timedelta(days=moment.weekday())


def calendar_for(mode: DataMode, history_start: datetime, now: datetime) -> Calendar:
    """Calendar of a market whose hourly history begins at `history_start` and whose clock stands at `now`."""
    start = monday(history_start.astimezone(UTC).date())
    return Calendar(start, None if mode is DataMode.LIVE else monday((now + _AHEAD).astimezone(UTC).date()))


def _path(settings: Settings) -> Path:
    return settings.workspace / "calendar.json"


def write_calendar(settings: Settings, history_start: datetime, now: datetime) -> Calendar:
    """Compute and store the calendar; the definitions pick it up the next time they are loaded."""
    calendar = calendar_for(settings.market.mode, history_start, now)
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    text = {"start": calendar.start.isoformat(), "end": calendar.end.isoformat() if calendar.end else None}
    fresh.write_text(json.dumps(text) + "\n", encoding="utf-8")
    fresh.replace(path)
    return calendar


def read_calendar(settings: Settings) -> Calendar:
    """The stored calendar, or UNPREPARED."""
    path = _path(settings)
    if not path.is_file():
        return UNPREPARED
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Calendar(date.fromisoformat(stored["start"]), date.fromisoformat(stored["end"]) if stored["end"] else None)


def weekly_partitions(calendar: Calendar) -> dg.WeeklyPartitionsDefinition:
    """Partition keys are Mondays (`2026-01-05`). With an end the calendar does not depend on the wall clock."""
    weeks_ahead = 1
    if calendar.end is not None:
        # Dagster cuts a calendar off at the wall clock plus `end_offset` before it looks at its end.
        weeks_ahead = max(1, (calendar.end - date(2020, 1, 6)).days // 7)
    return dg.WeeklyPartitionsDefinition(
        start_date=_midnight(calendar.start),
        end_date=_midnight(calendar.end) if calendar.end else None,
        end_offset=weeks_ahead,
        day_offset=1,
        timezone="UTC",
    )


def partition_of(moment: datetime, calendar: Calendar) -> str:
    """Key of the week of `moment`; a moment before the calendar belongs to its first week."""
    return max(monday(moment.astimezone(UTC).date()), calendar.start).isoformat()


def window_of(start: datetime, end: datetime, calendar: Calendar) -> Window:
    """What a run over the partitions [start, end) fetches. The first week also takes everything before it."""
    return Window(None if start.date() <= calendar.start else start, end)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
