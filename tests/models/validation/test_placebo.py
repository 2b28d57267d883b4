"""On shuffled days: an honest learner has nothing to say, one that has seen its labels is the best every time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.validation.leak_subjects import learner
from models.validation.losses import qlike
from models.validation.placebo import MIN_SHIFT, placebo, shifted_losses, shuffled
from models.volatility.ewma import ewma
from tests.models.validation.conftest import Panels

COIN = SeriesKind.CANDLES


@pytest.fixture(scope="module")
def rows(panel_rows: Panels) -> pd.DataFrame:
    return panel_rows(COIN)


def _said(rows: pd.DataFrame, forecast: pd.Series) -> pd.DataFrame:
    realised = rows.groupby("series")["rv"].shift(-1)
    return rows[["series", "as_of"]].assign(rv_forecast=forecast, realised=realised)


def by_ewma(rows: pd.DataFrame) -> pd.DataFrame:
    return _said(rows, rows.groupby("series")["rv"].transform(lambda rv: ewma(rv.to_numpy(), 0.94)))


def with_a_centred_window(rows: pd.DataFrame) -> pd.DataFrame:
    log_rv = np.log(rows["rv"])
    smooth = log_rv.groupby(rows["series"]).transform(lambda x: x.rolling(5, min_periods=3, center=True).mean())
    return _said(rows, np.exp(smooth + 0.5))


def that_was_trained_on_its_test_days(rows: pd.DataFrame) -> pd.DataFrame:
    """Remembers every row with its label: trees that are not purged come to this."""
    realised = rows.groupby("series")["rv"].shift(-1)
    return _said(rows, realised * np.exp(np.random.default_rng(1).standard_normal(len(rows))))


def that_says_nothing(rows: pd.DataFrame) -> pd.DataFrame:
    return _said(rows, pd.Series(1e-3, rows.index))


@pytest.mark.parametrize(
    ("learn", "verdict"),
    [
        (with_a_centred_window, "leak"),
        (that_was_trained_on_its_test_days, "leak"),
        (by_ewma, "clean"),
        (that_says_nothing, "clean"),
        (learner("log_har_x", COIN, 1), "clean"),
        (learner("log_har_x", COIN, 7), "clean"),
    ],
    ids=["centred", "memory", "ewma", "constant", "log-har-x", "log-har-x-week"],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_only_a_learner_that_knows_its_labels_has_skill(rows: pd.DataFrame, learn, verdict: str, seed: int) -> None:
    assert placebo(learn, rows, np.random.default_rng(seed), "learner").verdict == verdict


def test_a_learner_with_real_skill_shows_it_on_the_true_order_only(rows: pd.DataFrame) -> None:
    """The simulated variance is an AR(1) in logarithms; the placebo takes exactly that away."""
    kept = shuffled(rows, np.random.default_rng(0))
    for frame, best in ((rows, True), (kept, False)):
        wide = by_ewma(frame).pivot_table(index="as_of", columns="series").dropna()
        own, others = shifted_losses(wide["rv_forecast"].to_numpy(), wide["realised"].to_numpy())
        assert bool(own < others.min()) is best


def test_one_shuffle_alone_alarms_about_as_rarely_as_stated() -> None:
    """EWMA of independent days: 1 / (K + 1) a shuffle. 200 shuffles of K = 142 give 1.4 on average, more than 7 with
    probability 0.0002."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        rv = np.exp(rng.standard_normal(202))
        own, others = shifted_losses(ewma(rv, 0.94)[:-1, None], rv[1:, None])
        assert len(others) == 142
        alarms += own < others.min()
    assert alarms <= 7


def test_the_losses_of_shifts_are_those_of_rotated_forecasts() -> None:
    rng = np.random.default_rng(5)
    forecast, realised = np.exp(rng.standard_normal((2, 70, 2)))
    own, others = shifted_losses(forecast, realised)
    assert own == pytest.approx(qlike(realised, forecast).mean())
    by_hand = [np.concatenate([forecast[-turn:], forecast[:-turn]]) for turn in range(MIN_SHIFT, 70 - MIN_SHIFT + 1)]
    np.testing.assert_allclose(others, [qlike(realised, moved).mean() for moved in by_hand])


def test_a_shuffle_moves_whole_days_across_the_panel(rows: pd.DataFrame) -> None:
    got = shuffled(rows, np.random.default_rng(4))
    assert (got.groupby("as_of")["series"].nunique() == 3).all()
    wide, before = (frame.pivot_table(index="as_of", columns="series", values="ret").dropna() for frame in (got, rows))
    assert set(map(tuple, wide.to_numpy())) == set(map(tuple, before.to_numpy()))
    assert not wide.equals(before)


def test_a_series_of_another_time_stays_out(rows: pd.DataFrame) -> None:
    ended = rows[(rows["series"] != "BBB") | (rows["as_of"] < rows["as_of"].iloc[700])]
    got = shuffled(ended, np.random.default_rng(4))
    assert set(got["series"]) == {"AAA", "CCC"}
    assert got.groupby("series").size().tolist() == [1130 - 34] * 2


def test_a_short_history_is_not_probed(panel_rows: Panels) -> None:
    found = placebo(by_ewma, panel_rows(COIN, days=280), np.random.default_rng(0), "learner")
    assert found.verdict == "not probed"
