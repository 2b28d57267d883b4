"""The walk-forward as a whole: nothing it says about the past may depend on the future."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.contracts.running import IN_TURN, Runner
from models.validation.champion_path import champion_path
from models.validation.evaluation import evaluate
from models.validation.gate import decide
from models.volatility.bundle_fit import fit_bundle
from models.volatility.members import MEMBERS
from models.volatility.walk_forward import walk_forward

CUT = 860
Result = TypeVar("Result")
PUBLISHED = ["rv_forecast", "threshold", "p_spike", "score", "var99", "es99"]


def _run(rows: pd.DataFrame, horizon: int, run: Runner = IN_TURN) -> pd.DataFrame:
    return walk_forward(rows, SeriesKind.CANDLES, horizon, run=run)


class Backwards:
    """Three workers that finish in the opposite order."""

    workers = 3

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        return [task() for task in tasks[::-1]][::-1]


@pytest.fixture(scope="module", params=[1, 7])
def frame(request: pytest.FixtureRequest, daily: pd.DataFrame) -> pd.DataFrame:
    return _run(daily, request.param)


def test_a_changed_future_leaves_the_past_bit_for_bit(daily: pd.DataFrame, frame: pd.DataFrame) -> None:
    horizon = int(frame["horizon_days"].iloc[0])
    cut = daily["as_of"].iloc[CUT]
    changed = daily.copy()
    late = changed["as_of"] > cut
    changed.loc[late, ["rv", "rv_6h", "rv_12h", "parkinson"]] *= 7.0
    changed.loc[late, "ret"] *= -3.0
    changed.loc[late, ["jump_share", "neg_share"]] = 0.5
    again = _run(changed, horizon)
    for model in MEMBERS:
        before, after = (
            part[(part["model"] == model) & (part["as_of"] <= cut)][PUBLISHED].to_numpy() for part in (frame, again)
        )
        assert len(before) > 1000
        assert before.tobytes() == after.tobytes(), model
    assert frame["rv_forecast"].sum() != again["rv_forecast"].sum()


def test_forecasts_are_finite_and_positive_and_start_after_half_the_warm_up(frame: pd.DataFrame) -> None:
    assert np.isfinite(frame["rv_forecast"]).all()
    assert (frame["rv_forecast"] > 0).all()
    assert set(frame["model"]) == set(MEMBERS)
    assert not frame.duplicated(["model", "series", "origin"]).any()
    sizes = frame.groupby(["model", "series"]).size()
    assert (sizes == 940 - 365).all()
    assert (frame[frame["scored"]].groupby(["model", "series"]).size() == 940 - 730).all()


@pytest.mark.parametrize("horizon", [1, 5])
def test_outcomes_are_known_by_the_rows_of_their_own_calendar(daily: pd.DataFrame, horizon: int) -> None:
    holiday = daily.groupby("series").cumcount().between(800, 809)
    got = walk_forward(daily[~holiday], SeriesKind.FIXINGS, horizon, ["ewma"])
    for _, part in got.groupby("series"):
        pd.testing.assert_series_equal(part["known_at"], part["as_of"].shift(-horizon - 1), check_names=False)
    assert (got["known_at"] - got["as_of"]).max() == pd.Timedelta(days=horizon + 1 + 10)


def test_scored_rows_carry_every_number(frame: pd.DataFrame) -> None:
    scored = frame[frame["scored"]]
    one_day = int(frame["horizon_days"].iloc[0]) == 1
    assert scored[["p_spike", "score", "threshold"]].notna().all(axis=None)
    assert bool(scored["var99"].notna().all()) is one_day
    assert scored["p_spike"].between(0, 1).all()
    if one_day:
        assert (scored["es99"] >= scored["var99"]).all()


def test_every_row_is_issued_when_its_information_closed(frame: pd.DataFrame) -> None:
    assert (frame["issued_at"] == frame["as_of"]).all()
    next_midnight = frame["origin"].dt.tz_localize("UTC") + pd.Timedelta(days=1)
    assert (frame["as_of"] == next_midnight).all()


def test_neither_the_number_of_shares_nor_their_order_shows(daily: pd.DataFrame, frame: pd.DataFrame) -> None:
    again = _run(daily, int(frame["horizon_days"].iloc[0]), Backwards())
    pd.testing.assert_frame_equal(frame, again, check_exact=True)


def test_models_learn(frame: pd.DataFrame) -> None:
    """The simulated variance is an AR(1) in logarithms: log-HAR must beat EWMA on it."""
    rows = frame[frame["scored"] & frame["realised"].notna()]
    ratio = rows["realised"] / rows["rv_forecast"]
    loss = (ratio - np.log(ratio) - 1).groupby(rows["model"]).mean()
    assert loss["log_har"] < loss["ewma"]


def test_short_series_have_no_rows_no_champion_but_ewma_and_no_number(daily: pd.DataFrame) -> None:
    short = daily[daily.groupby("series").cumcount() < 300]
    frame = _run(short, 1)
    assert frame.empty
    assert decide(frame).champion == "ewma"
    assert evaluate(frame).empty
    assert champion_path(frame, SeriesKind.CANDLES).empty
    bundle = fit_bundle(short, SeriesKind.CANDLES, 1, "ewma", frame)
    assert set(bundle.predict(short)["status"]) == {"insufficient_data"}
