from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from models.contracts.market import Calendar
from models.timeseries.calendars import expected_slots, interval_length, is_open


@pytest.mark.parametrize(
    ("interval", "length"),
    [
        ("1m", timedelta(minutes=1)), ("1h", timedelta(hours=1)), ("8h", timedelta(hours=8)),
        ("1d", timedelta(days=1)), ("irregular", None),
    ],
)  # fmt: skip
def test_interval_length(interval: str, length: timedelta | None) -> None:
    assert interval_length(interval) == length


@pytest.mark.parametrize("interval", ["", "h", "0h", "1w", "-1h", "1.5h"])
def test_unknown_interval_is_refused(interval: str) -> None:
    with pytest.raises(ValueError, match="interval"):
        interval_length(interval)


@pytest.mark.parametrize(
    ("day", "fx_open"),
    [
        ("2021-12-24", True),  # Friday
        ("2021-12-25", False), ("2020-12-25", False),  # Saturday, Friday
        ("2021-01-01", False), ("2021-01-02", False), ("2021-01-03", False), ("2021-01-04", True),
        ("2021-05-01", False), ("2020-05-01", True),  # Saturday; a Friday off in many countries, not in all
    ],
)  # fmt: skip
def test_fx_week(day: str, fx_open: bool) -> None:
    times = pd.DatetimeIndex([pd.Timestamp(day, tz="UTC"), pd.Timestamp(f"{day}T23:00", tz="UTC")])
    assert is_open(times, Calendar.FX_WEEK).tolist() == [fx_open] * 2
    assert is_open(times, Calendar.ALWAYS).tolist() == [True] * 2


def test_slots_are_half_open_and_on_the_grid() -> None:
    start = datetime(2021, 1, 1, 0, 30, tzinfo=UTC)
    hours = expected_slots(start, start + timedelta(hours=3), "1h", Calendar.ALWAYS)
    assert [t.hour for t in hours] == [1, 2, 3]
    days = expected_slots(datetime(2020, 12, 24, tzinfo=UTC), datetime(2021, 1, 5, tzinfo=UTC), "1d", Calendar.FX_WEEK)
    assert [t.day for t in days] == [24, 28, 29, 30, 31, 4]
    assert expected_slots(start, start, "1d", Calendar.ALWAYS).empty


def test_slots_need_a_grid_and_a_zone() -> None:
    start = datetime(2021, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="irregular"):
        expected_slots(start, start, "irregular", Calendar.ALWAYS)
    with pytest.raises(ValueError, match="aware"):
        expected_slots(start.replace(tzinfo=None), start, "1d", Calendar.ALWAYS)
