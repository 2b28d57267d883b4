from datetime import UTC, datetime, timedelta, timezone

import pytest

from models.contracts.market import SeriesKind
from models.risk.validity import HOURLY_VALIDITY, Validity

COIN, RANGE, FIXING = SeriesKind.CANDLES, SeriesKind.RANGES, SeriesKind.FIXINGS
FIVE_DAYS = timedelta(days=5)


def _day(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("as_of", "until"),
    [
        (_day(3), _day(7)),  # Monday's rate: Tuesday to Friday, not the weekend behind it
        (_day(4), _day(9)),  # Tuesday's: five days come first
        (_day(7), _day(12)),  # Friday's: Monday to Wednesday
    ],
)
def test_a_rate_is_fresh_for_three_business_days(as_of: datetime, until: datetime) -> None:
    assert Validity.of(FIXING, FIVE_DAYS).until(as_of) == until
    assert Validity.of(RANGE, FIVE_DAYS).until(as_of) == until


def test_a_bar_is_fresh_for_its_allowed_age_on_any_day_and_in_any_zone() -> None:
    lagos = timezone(timedelta(hours=1))
    validity = Validity.of(COIN, timedelta(hours=2))
    assert validity.until(_day(7, 23)) == _day(8, 1)
    assert validity.until(datetime(2026, 3, 8, tzinfo=lagos)) == _day(8, 1)


@pytest.mark.parametrize(
    ("legs", "expected"),
    [
        ([(COIN, timedelta(hours=2)), (FIXING, FIVE_DAYS)], Validity(HOURLY_VALIDITY)),
        ([(RANGE, FIVE_DAYS), (FIXING, timedelta(days=4))], Validity(timedelta(days=4), True)),
        ([], Validity(HOURLY_VALIDITY)),
    ],
)
def test_a_vault_of_rates_alone_does_not_expire_by_the_hour(
    legs: list[tuple[SeriesKind, timedelta]], expected: Validity
) -> None:
    assert Validity.of_vault(legs) == expected
