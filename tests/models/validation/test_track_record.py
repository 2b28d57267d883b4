"""What became of stored probabilities: outcomes as the walk-forward has them, promised beside seen, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from models.validation.spikes import expected_calibration_error
from models.validation.track_record import MIN_ROWS, spikes_of, track_record, wilson_interval
from models.volatility.targets import known_threshold


def test_a_spike_is_above_the_ninth_tenth_of_a_full_window() -> None:
    # Eleven outcomes 0..10: their 90 % quantile is 9 exactly.
    realised = np.array([*range(11), 9.0, 9.5, math.nan])
    spike = spikes_of(realised, horizon_days=1, window=11)
    assert np.isnan(spike[:11]).all(), "no full window of outcomes is known yet"
    assert spike[11] == 0.0, "as much as the threshold is not above it"
    assert spike[12] == 1.0
    assert math.isnan(spike[13]), "open"


@pytest.mark.parametrize("horizon_days", [1, 5, 7])
def test_an_outcome_counts_for_the_threshold_once_it_is_known(horizon_days: int) -> None:
    realised = np.arange(40.0)
    first = int(np.flatnonzero(np.isfinite(spikes_of(realised, horizon_days, window=10)))[0])
    # Row t knows outcomes up to t - horizon; ten of them are there first at t = 9 + horizon.
    assert first == 9 + horizon_days


@given(st.lists(st.floats(1e-6, 1.0), min_size=30, max_size=80), st.integers(1, 7))
def test_rows_before_the_stored_ones_do_not_change_an_outcome(values: list[float], horizon_days: int) -> None:
    """What is judged of a part of the history is what is judged of all of it."""
    realised = np.array(values)
    whole, part = spikes_of(realised, horizon_days, 10), spikes_of(realised[7:], horizon_days, 10)
    both = np.isfinite(part)
    assert (whole[7:][both] == part[both]).all()
    threshold = known_threshold(realised, horizon_days, 10)
    judged = np.isfinite(whole)
    assert (whole[judged] == (realised[judged] > threshold[judged])).all()


@pytest.mark.parametrize(("count", "of"), [(0, 10), (1, 10), (5, 10), (10, 10), (12, 240)])
def test_interval_is_that_of_wilson(count: int, of: int) -> None:
    expected = proportion_confint(count, of, alpha=0.05, method="wilson")
    assert wilson_interval(count, of) == pytest.approx(expected, abs=1e-12)


def test_an_interval_of_nothing_is_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def calm_and_stormy(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Every tenth day a spike that was promised with 0.5, else 0.05."""
    realised = np.where(np.arange(rows) % 10 == 9, 2.0, 1.0) + np.arange(rows) * 1e-9
    return realised, np.where(realised > 1.5, 0.5, 0.05)


def test_figures_are_those_of_the_judged_rows() -> None:
    realised, probability = calm_and_stormy(400)
    found = track_record(realised, probability, horizon_days=1, window=50)
    judged = np.isfinite(found.spike)
    assert found.rows == judged.sum() == 350
    assert found.spikes == int(found.spike[judged].sum())
    assert found.ece == expected_calibration_error(found.spike[judged], probability[judged])
    assert sum(one.rows for one in found.bins) == found.rows
    assert all(one.low <= one.seen <= one.high for one in found.bins)
    assert [one.promised for one in found.bins] == sorted(one.promised for one in found.bins)


def test_overlapping_outcomes_say_less() -> None:
    rng = np.random.default_rng(1)
    realised, probability = rng.exponential(size=900), rng.uniform(0.01, 0.4, size=900)
    one, seven = (track_record(realised, probability, days, window=100) for days in (1, 7))
    assert (len(one.bins), len(seven.bins)) == (10, 4), "799 and 793 rows: 31 and 4 times 25 independent ones"
    widths = [np.mean([bin.high - bin.low for bin in each.bins]) for each in (one, seven)]
    assert widths[1] > widths[0], "though each holds more rows"


@pytest.mark.parametrize(("rows", "enough"), [(50 + MIN_ROWS - 1, False), (50 + MIN_ROWS, True)])
def test_under_a_hundred_rows_there_are_no_figures(rows: int, enough: bool) -> None:
    found = track_record(*calm_and_stormy(rows), horizon_days=1, window=50)
    assert (found.ece is not None, bool(found.bins)) == (enough, enough)


def test_a_missing_probability_is_not_judged() -> None:
    realised, probability = calm_and_stormy(400)
    probability[60:80] = math.nan
    assert track_record(realised, probability, 1, 50).rows == 330
