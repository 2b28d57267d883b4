"""Outcomes that come late, and what is judged once they have come."""

import numpy as np
import pandas as pd
import pytest

from models.drift.alarms import NotEnoughHistory
from models.drift.outcomes import Known, calibration_drift, known_outcomes, performance_drift

START = pd.Timestamp("2024-01-01", tz="UTC")


def table(n: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"as_of": pd.date_range(START, periods=n, freq="1D"), "realised": 1.0, **columns})


@pytest.mark.parametrize(
    ("day", "horizon", "day_length", "known", "open_"),
    [
        pytest.param(5, 1, 1.0, 4, 6, id="a-day-and-the-embargo"),
        pytest.param(5, 3, 1.0, 2, 8, id="longer-horizon"),
        pytest.param(1, 1, 1.0, 0, 10, id="nothing-yet"),
        pytest.param(30, 7, 1.0, 10, 0, id="all"),
        pytest.param(5, 1, 1.4, 3, 7, id="business-days"),
    ],
)
def test_an_outcome_counts_when_it_is_known(day: int, horizon: int, day_length: float, known: int, open_: int) -> None:
    found = known_outcomes(table(10), START + pd.Timedelta(days=day), horizon, day_length)
    assert (len(found.rows), found.open) == (known, open_)


def test_a_hole_is_neither_known_nor_open() -> None:
    rows = table(10)
    rows.loc[2, "realised"] = np.nan
    found = known_outcomes(rows, START + pd.Timedelta(days=5), 1)
    assert (len(found.rows), found.open) == (3, 6)


def judged_losses(n: int, worse_from: int, factor: float) -> Known:
    rng = np.random.default_rng(0)
    realised = rng.chisquare(10, n) / 10
    own = np.where(np.arange(n) >= worse_from, factor, 1.0)
    rows = table(n, rv_forecast=own, ewma=np.ones(n)).assign(realised=realised)
    return known_outcomes(rows, START + pd.Timedelta(days=n + 5), 1)


def test_a_forecast_that_turned_worse_than_the_plainest_is_found_within_its_window() -> None:
    found = performance_drift(judged_losses(300, 200, 3.0), 1)
    assert 200 < found.alarms[0] < 228
    assert found.statistic[found.alarms[0]] > 1.05
    assert found.known_at[found.alarms[0]] == START + pd.Timedelta(days=int(found.alarms[0]) + 2)
    assert found.threshold.observed == pytest.approx(len(found.alarms) / (300 / 91.3125))


@pytest.mark.parametrize("factor", [1.0, 1.02])
def test_an_equal_forecast_raises_nothing(factor: float) -> None:
    found = performance_drift(judged_losses(300, 0, factor), 1)
    assert len(found.alarms) == 0
    assert found.threshold.per_quarter == pytest.approx(91.3125 / 300)  # what its length can show


def test_a_worse_mean_that_is_one_bad_day_is_no_drift() -> None:
    rows = judged_losses(100, 1000, 1.0)
    spoiled = rows.rows.copy()
    spoiled.loc[50, "rv_forecast"] = 0.01
    assert len(performance_drift(Known(spoiled, 0), 1).alarms) == 0


def test_too_few_outcomes_say_how_many_are_open() -> None:
    few = known_outcomes(table(30, rv_forecast=1.0, ewma=1.0), START + pd.Timedelta(days=20), 7)
    with pytest.raises(NotEnoughHistory, match=r"13 known outcomes .* \(17 are open\)"):
        performance_drift(few, 7)


def promised(n: int, frequency: float, changed_from: int, changed: float, seed: int = 0) -> Known:
    rng = np.random.default_rng(seed)
    spike = rng.random(n) < np.where(np.arange(n) >= changed_from, changed, frequency)
    rows = table(n, p_spike=frequency, threshold=1.0).assign(realised=np.where(spike, 2.0, 0.5))
    return known_outcomes(rows, START + pd.Timedelta(days=n + 5), 1)


@pytest.mark.parametrize(("usual", "changed"), [(0.1, 0.5), (0.5, 0.1)])
def test_promises_that_stopped_holding_are_found(usual: float, changed: float) -> None:
    found = calibration_drift(promised(1000, usual, 900, changed, 1), 0.5, np.random.default_rng(0))
    late = found.alarms[found.alarms >= 900]
    assert len(late)
    assert late[0] < 956


def test_promises_that_hold_raise_at_most_the_stated_alarms() -> None:
    found = [calibration_drift(promised(1500, 0.1, 9999, 0.1, s), 1.0, np.random.default_rng(s)) for s in range(5)]
    assert max(len(one.alarms) / one.threshold.quarters for one in found) <= 1.0


def test_open_forecasts_are_counted_and_not_judged() -> None:
    rows = promised(400, 0.1, 9999, 0.1).rows.drop(columns="known_at")
    rows.loc[390:, "realised"] = np.nan  # what the last days will be nobody knows yet
    known = known_outcomes(rows, START + pd.Timedelta(days=391), 1)
    found = calibration_drift(known, 1.0, np.random.default_rng(0))
    assert (len(found.statistic), found.open) == (390, 10)
