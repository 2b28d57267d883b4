"""A search chooses on what was known before its end and is judged on what came after."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.validation.evaluation import comparable, panel_losses
from models.validation.tuning import Verdict, forecasts, judge, losses, search_end, until
from models.volatility.panel import Panel, build_panel
from models.volatility.walk_forward import walk_forward
from tests.models.validation.conftest import simulated

KIND = SeriesKind.CANDLES
ROWS = simulated(KIND, days=1450)
NO_TREES = {"learning_rate": 1e-6}  # what is left is the base of the trees


@pytest.fixture(scope="module")
def panel() -> Panel:
    return build_panel(ROWS, KIND)


def test_the_search_ends_after_three_fifths_of_the_scored_dates(panel: Panel) -> None:
    dates = sorted({moment for grid in panel.grids.values() for moment in grid.as_of[730:]})
    assert search_end(panel) == dates[int(0.6 * len(dates))]


def test_a_short_panel_cannot_be_searched() -> None:
    with pytest.raises(ValueError, match="scored dates are too few to search on some and judge on others"):
        search_end(build_panel(simulated(KIND, days=1130), KIND))


def test_the_past_is_what_was_known_then(panel: Panel) -> None:
    end = search_end(panel)
    known = until(panel, end)
    alone = build_panel(ROWS[ROWS["as_of"] <= pd.Timestamp(end).tz_localize("UTC")], KIND)
    assert list(known.grids) == list(alone.grids)
    for series, grid in alone.grids.items():
        cut = known.grids[series]
        for name in ("as_of", "rv", "ret", "har"):
            np.testing.assert_array_equal(getattr(cut, name), getattr(grid, name))
        for name, values in grid.columns.items():
            np.testing.assert_array_equal(cut.columns[name], values)


def test_a_series_that_begins_later_is_not_there(panel: Panel) -> None:
    assert list(until(panel, panel.grids["CCC"].as_of[0] - np.timedelta64(1, "D")).grids) == ["AAA", "BBB"]


@pytest.mark.parametrize("horizon", [1, 7])
def test_without_a_change_losses_are_those_of_the_walk_forward(panel: Panel, horizon: int) -> None:
    expected = panel_losses(comparable(walk_forward(panel, KIND, horizon, ["lightgbm"])))["lightgbm"]
    found = losses(panel, forecasts(panel, horizon, {}), horizon)
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy())


def test_what_is_in_force_is_not_better_than_itself(panel: Panel) -> None:
    verdict = judge(panel, 1, {}, search_end(panel))
    assert (verdict.ratio, verdict.ratio_uncapped, verdict.p_value, verdict.better) == (1.0, 1.0, 1.0, False)
    assert verdict.dates >= 250


def test_only_dates_after_the_search_judge(panel: Panel) -> None:
    end = search_end(panel)
    found = judge(panel, 1, NO_TREES, end)
    first = pd.Timestamp(end) + pd.Timedelta(days=2)
    new, old = (losses(panel, forecasts(panel, 1, changed), 1)[first:] for changed in (NO_TREES, {}))
    assert found.dates == len(new)
    assert found.ratio == pytest.approx(new.mean() / old.mean())
    assert found.ratio != 1.0


@pytest.mark.parametrize(
    ("ratio", "uncapped", "p", "better"),
    [(0.98, 0.99, 0.01, True), (0.98, 1.01, 0.01, False), (0.98, 0.99, 0.06, False), (1.01, 0.99, 0.01, False)],
)
def test_better_is_significant_and_holds_without_the_cap(ratio: float, uncapped: float, p: float, better: bool) -> None:
    assert Verdict(400, ratio, uncapped, p).better is better
