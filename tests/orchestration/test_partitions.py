from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.contracts.market import DataMode
from orchestration.partitions import (
    UNPREPARED,
    Calendar,
    Window,
    calendar_for,
    partition_of,
    read_calendar,
    weekly_partitions,
    window_of,
    write_calendar,
)
from orchestration.settings import load_settings

START = datetime(2017, 8, 17, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mode", "now", "end"),
    [
        (DataMode.REPLAY, datetime(2023, 12, 31, 23, tzinfo=UTC), date(2024, 12, 30)),
        (DataMode.SIMULATED, datetime(2026, 1, 1, tzinfo=UTC), date(2027, 1, 4)),
        (DataMode.LIVE, datetime(2026, 1, 1, tzinfo=UTC), None),
    ],
)
def test_a_calendar_begins_on_the_first_monday_and_ends_a_year_ahead(
    mode: DataMode, now: datetime, end: date | None
) -> None:
    assert calendar_for(mode, START, now) == Calendar(date(2017, 8, 14), end)


@pytest.mark.parametrize("now", [datetime(2023, 12, 31, 23, tzinfo=UTC), datetime(2040, 6, 1, 5, tzinfo=UTC)])
def test_the_current_week_exists_wherever_the_wall_clock_stands(now: datetime) -> None:
    calendar = calendar_for(DataMode.SIMULATED, START, now)
    keys = weekly_partitions(calendar).get_partition_keys()
    assert keys[0] == "2017-08-14"
    assert partition_of(now, calendar) in keys
    assert date.fromisoformat(keys[-1]) < calendar.end


def test_a_live_calendar_holds_the_current_week() -> None:
    now = datetime.now(UTC)
    calendar = calendar_for(DataMode.LIVE, START, now)
    assert weekly_partitions(calendar).get_last_partition_key() == partition_of(now, calendar)


def test_the_first_week_takes_everything_before_it() -> None:
    calendar = Calendar(date(2017, 8, 14), None)
    monday, end = datetime(2017, 8, 14, tzinfo=UTC), datetime(2017, 8, 21, tzinfo=UTC)
    assert window_of(monday, end, calendar) == Window(None, end)
    assert window_of(end, datetime(2017, 8, 28, tzinfo=UTC), calendar).start == end
    assert partition_of(datetime(1971, 1, 4, tzinfo=UTC), calendar) == "2017-08-14"


def test_the_calendar_survives_in_the_workspace(tmp_path: Path) -> None:
    settings = load_settings({"BALLAST_STATE": str(tmp_path)})
    assert read_calendar(settings) == UNPREPARED
    written = write_calendar(settings, START, datetime(2026, 1, 1, tzinfo=UTC))
    assert read_calendar(settings) == written
