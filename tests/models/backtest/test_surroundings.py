"""Regimes and events of a backtest: told from the past alone, dated by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from models.backtest.bars import Bars
from models.backtest.comparison import EPOCH, Window
from models.backtest.surroundings import regimes, windows_within
from tests.models.backtest.worlds import THREE_LEGS

FIRST = (date(2022, 1, 1) - EPOCH).days
DAYS = 500


def _bars(loud_from: int, days: int = DAYS) -> Bars:
    """Closes at midnight; the risky legs swing by 1 % a day and ever less, and by 5 % from day `loud_from` on."""
    day = np.arange(1, days)
    swing = np.where(day < loud_from, 0.01 * 0.999**day, 0.05) * np.where(day % 2, 1, -1)
    risky = 100 * np.exp(np.cumsum(np.insert(swing, 0, 0.0)))
    closes = np.datetime64("2022-01-01", "D") + np.arange(1, days + 1)
    prices = np.column_stack([np.ones(days) if a.stable else risky for a in THREE_LEGS.assets])
    return Bars(tuple(a.symbol for a in THREE_LEGS.assets), closes.astype("datetime64[us]"), prices)


def test_a_vault_that_grows_loud_is_stressed_from_the_day_after() -> None:
    told = regimes(_bars(loud_from=400), THREE_LEGS)
    assert told[FIRST + 400] == "calm"  # the first loud return is of this day: nobody knew when it began
    assert told[FIRST + 401] == "stressed"
    assert min(told) == FIRST + 1 + 5 + 218  # a close, 219 weeks of at least 5 returns, and the next day


def test_what_is_told_of_a_day_does_not_change_when_the_market_goes_on() -> None:
    short, long = regimes(_bars(400, 420), THREE_LEGS), regimes(_bars(400), THREE_LEGS)
    assert short == {day: label for day, label in long.items() if day in short}
    assert max(short) == FIRST + 420  # the day that begins with the last close


def test_days_without_closes_have_no_label_of_their_own() -> None:
    bars = _bars(400)
    keep = np.delete(np.arange(DAYS), np.arange(300, 330))
    gap = Bars(bars.symbols, bars.close_at[keep], bars.prices[keep])
    assert regimes(gap, THREE_LEGS)[FIRST + 299] == regimes(bars, THREE_LEGS)[FIRST + 299]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        (date(2022, 1, 1), date(2022, 3, 9), ()),
        (date(2022, 1, 1), date(2022, 3, 10), ("fall",)),
        (date(2022, 3, 18), date(2022, 4, 1), ("fall",)),  # the last day of the week after
        (date(2022, 3, 19), date(2022, 4, 1), ()),
    ],
)
def test_an_event_counts_if_a_day_of_its_week_does(first: date, last: date, found: tuple[str, ...]) -> None:
    event = Window("fall", date(2022, 3, 10), date(2022, 3, 12))
    assert tuple(each.name for each in windows_within([event], first, last)) == found


def test_a_vault_of_stable_legs_alone_is_never_wild() -> None:
    still = Bars(("A",), _bars(400).close_at, np.ones((DAYS, 1)))
    vault = type(THREE_LEGS)(
        THREE_LEGS.id, THREE_LEGS.network, None,
        (type(THREE_LEGS.assets[0])("A", None, Decimal(1), stable=True),), THREE_LEGS.limits,
    )  # fmt: skip
    assert len(set(regimes(still, vault).values())) == 1
