"""Copies of training rows: which, how many, and that a learner without the rule never hears of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.contracts.market import SeriesKind
from models.volatility.augmentation import MARKET_LEVEL, Augmentation, Favour, augmented, drawn_again, start_weights
from models.volatility.lightgbm_forecaster import LightGbm
from models.volatility.lightgbm_spikes import SpikeClassifier
from models.volatility.panel import Panel, build_panel

COIN = SeriesKind.CANDLES


def days(n: int, series: int = 1) -> NDArray[np.datetime64]:
    """n dates of `series` series each, series after series, as the pool is put together."""
    return np.tile(np.datetime64("2020-01-01") + np.arange(n), series)


@given(
    n=st.integers(1, 80),
    series=st.integers(1, 4),
    share=st.floats(0.0, 2.0),
    block=st.integers(1, 40),
    favour=st.sampled_from(Favour),
)
@settings(max_examples=60)
def test_blocks_hold_all_series_of_their_dates(n: int, series: int, share: float, block: int, favour: Favour) -> None:
    moment = days(n, series)
    chosen = drawn_again(moment, np.zeros(len(moment)), Augmentation(favour, share, block))
    wanted = int(share * len(moment))
    assert wanted <= len(chosen) <= wanted + block * series
    assert len(chosen) == 0 or chosen.max() < len(moment)
    counts = np.bincount(chosen, minlength=len(moment)).reshape(series, n)
    assert (counts == counts[0]).all(), "a date is drawn with every series, or not at all"


def test_dates_of_a_block_are_neighbours_and_end_with_the_sample() -> None:
    chosen = drawn_again(days(50), np.zeros(50), Augmentation(share=40.0, block_dates=7))
    steps = np.diff(chosen)
    turns = np.flatnonzero(steps != 1)
    lengths = np.diff(np.concatenate([[-1], turns, [len(chosen) - 1]]))
    ends = np.append(chosen[turns], chosen[-1])
    assert (lengths[ends != 49] % 7 == 0).all(), "blocks may follow upon each other by chance"


def test_a_start_under_stress_is_likelier_by_its_level() -> None:
    weights = start_weights(np.array([0.0, 1.0, 2.0, 99.0]), Favour.STRESSED)
    np.testing.assert_allclose(weights[1:] / weights[0], np.exp([1.0, 2.0, 3.0]))
    assert weights.sum() == pytest.approx(1.0)


def test_every_state_begins_as_many_blocks_as_another() -> None:
    rng = np.random.default_rng(0)
    level = np.repeat([-1.5, 0.0, 2.0, 0.0, -1.5, 0.0], [150, 200, 50, 300, 200, 100]) + 0.2 * rng.standard_normal(1000)
    weights = start_weights(level, Favour.STATES)
    mass = [weights[rows].sum() for rows in (level > 1.2, abs(level) < 0.7, level < -0.9)]
    np.testing.assert_allclose(mass, 1 / 3, atol=0.02)
    np.testing.assert_allclose(start_weights(level[:100], Favour.STATES), 0.01), "too few dates for states"


def test_an_unknown_level_is_the_usual_one_and_the_same_draw_comes_again() -> None:
    level = np.where(np.arange(60) % 2 == 0, np.nan, 0.0)
    rule = Augmentation(block_dates=3)
    want = drawn_again(days(60), np.zeros(60), rule)
    np.testing.assert_array_equal(drawn_again(days(60), level, rule), want)
    assert drawn_again(days(60), level, Augmentation(block_dates=3, seed=21)).tolist() != want.tolist()


def test_copies_stand_behind_the_rows_and_are_rows() -> None:
    rows = np.arange(80, dtype=np.float32).reshape(40, 2) / 80
    target = np.arange(40.0)
    more, outcomes = augmented(rows, target, days(40), ("other", MARKET_LEVEL), Augmentation(block_dates=4))
    np.testing.assert_array_equal(more[:40], rows)
    np.testing.assert_array_equal(more[40:], rows[outcomes[40:].astype(int)])
    assert len(more) == len(outcomes) >= 60
    assert augmented(rows, target, days(40), ("other", MARKET_LEVEL), None)[0] is rows


@pytest.fixture(scope="module")
def panel(daily: pd.DataFrame) -> Panel:
    return build_panel(daily, COIN)


@pytest.mark.parametrize("learner", [LightGbm, SpikeClassifier])
def test_a_learner_adds_only_rows_that_it_may_see(
    panel: Panel, daily: pd.DataFrame, learner: type[LightGbm] | type[SpikeClassifier]
) -> None:
    """Everything from the day of the fit on is changed: the same trees come out, with copies and without."""
    fit_at = panel.grids["AAA"].as_of[800]
    later = pd.DatetimeIndex(daily["as_of"]).tz_localize(None).to_numpy() >= fit_at
    changed = build_panel(daily.assign(rv=daily["rv"].where(~later, 7 * daily["rv"])), COIN)
    states = {}
    for rule in (None, Augmentation(), Augmentation(Favour.STATES)):
        for name, each in (("true", panel), ("changed", changed)):
            fitted = learner(COIN, 1, augmentation=rule)
            fitted.fit(each, fit_at)
            states[rule, name] = fitted.state()["booster"]
        assert states[rule, "true"] == states[rule, "changed"]
        assert states[rule, "true"]
    assert len({states[rule, "true"] for rule in (None, Augmentation(), Augmentation(Favour.STATES))}) == 3
