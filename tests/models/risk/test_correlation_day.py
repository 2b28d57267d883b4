"""A day's matrices: which days each of them rests on, and its picture."""

from __future__ import annotations

import numpy as np

from models.risk.correlation import ewma, ledoit_wolf
from models.risk.correlation_day import HISTORY_DAYS, CorrelationMethod, Said, correlations_of_day, words
from models.risk.correlation_stability import change
from models.risk.plots import heat_map

NAMES, GROUPS = ("a", "b", "c"), ("x", "y", "x")
EWMA, EQUAL = CorrelationMethod


def _day(ret: np.ndarray, labels: list[str | None]) -> dict[tuple[CorrelationMethod, str], Said]:
    said = correlations_of_day(ret, NAMES, GROUPS, labels, lambda name: np.random.default_rng(len(name)))
    return {(each.method, each.regime): each for each in said}


def _returns(days: int = HISTORY_DAYS) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((days, 1)) + rng.standard_normal((days, 3))


def test_windows_end_today_and_changes_a_month_ago() -> None:
    ret = _returns()
    found = _day(ret, [None] * len(ret))
    assert set(found) == {(EWMA, "all"), *((EQUAL, regime) for regime in ("all", "calm", "normal", "stressed"))}
    now, before = (ewma(part, NAMES, GROUPS) for part in (ret[-150:], ret[-180:-30]))
    np.testing.assert_array_equal(found[EWMA, "all"].found.matrix, now.matrix)
    assert found[EWMA, "all"].moved == change(before, now)
    np.testing.assert_array_equal(found[EQUAL, "all"].found.matrix, ledoit_wolf(ret[-365:], NAMES, GROUPS).matrix)
    assert [found[key].days for key in ((EWMA, "all"), (EQUAL, "all"), (EQUAL, "calm"))] == [150, 365, 0]


def test_a_regime_has_its_own_days_of_the_last_thousand() -> None:
    ret = _returns()
    labels: list[str | None] = ["stressed"] * (len(ret) - 990) + ["calm"] * 990
    found = _day(ret, labels)
    assert (found[EQUAL, "stressed"].days, found[EQUAL, "calm"].days) == (10, 990)
    assert not found[EQUAL, "stressed"].has_number
    assert found[EQUAL, "stressed"].most_common_days == 10
    assert found[EQUAL, "stressed"].moved is None
    assert (found[EQUAL, "calm"].low[0, 1] < found[EQUAL, "calm"].high[0, 1], words(found[EQUAL, "calm"])) == (True, [])


def test_a_missing_pair_is_said_and_drawn_grey() -> None:
    ret = _returns(100)
    ret[50:, 2] = np.nan
    said = _day(ret, [None] * 100)[EWMA, "all"]
    assert words(said) == ["2 of 3 pairs have no number: under 60 common days, or one stood still"]
    axes = heat_map(said.found, "title").axes[0]
    assert axes.images[0].get_array().mask.sum() == 4  # both sides of the diagonal
    assert len(axes.texts) == 3 + 2
    assert [label.get_text() for label in axes.get_xticklabels()] == list(NAMES)
