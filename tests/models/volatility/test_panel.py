import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility.panel import PanelError, build_panel


def test_a_missing_row_is_a_missing_day_of_a_coin(daily: pd.DataFrame) -> None:
    own = daily[daily["series"] == "AAA"]
    grid = build_panel(own.drop(own.index[100]), SeriesKind.CANDLES).grids["AAA"]
    assert len(grid) == len(own)
    assert np.isnan(grid.rv[100])
    assert grid.har[100, 0] == grid.har[100, 1]  # the week stands in for the day


def test_a_missing_row_of_a_rate_is_no_day(daily: pd.DataFrame) -> None:
    own = daily[daily["series"] == "AAA"]
    assert len(build_panel(own.drop(own.index[100]), SeriesKind.FIXINGS).grids["AAA"]) == len(own) - 1


def test_the_hour_selects_the_grid(hourly: pd.DataFrame) -> None:
    grid = build_panel(hourly, SeriesKind.CANDLES, hour=13).grids["BBB"]
    assert set(pd.DatetimeIndex(grid.as_of).hour) == {13}
    assert (np.diff(grid.as_of) == np.timedelta64(1, "D")).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="rv"), "rv"),
        (lambda rows: pd.concat([rows, rows.tail(1)]), "CCC has two rows"),
    ],
)
def test_rows_that_are_no_panel_are_refused(daily: pd.DataFrame, change, message: str) -> None:
    with pytest.raises(PanelError, match=message):
        build_panel(change(daily), SeriesKind.CANDLES)
