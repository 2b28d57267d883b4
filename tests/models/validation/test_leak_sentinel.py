"""What Ballast computes passes every probe, for every kind of series, and each feature over random cuts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contracts.market import SeriesKind
from models.validation import leak_subjects as subjects
from models.validation.leak_histories import differences, punched
from models.validation.leak_sentinel import REGULAR, Effort, drawn, probe
from models.validation.leaks import cut_and_compare
from models.volatility.feature_set import feature_names
from models.volatility.members import members_for
from tests.models.validation.conftest import Panels

QUICK = Effort(series=2, rows=1060, cuts=1, fits=1, changes=2, walked=("ewma", "log_har", "log_har_x", "combination"))
KINDS = (SeriesKind.CANDLES, SeriesKind.RANGES, SeriesKind.FIXINGS, SeriesKind.VAULT)


@pytest.mark.parametrize(
    ("kind", "horizon", "series"),
    [
        (SeriesKind.CANDLES, 1, 3),
        (SeriesKind.CANDLES, 7, 2),
        (SeriesKind.RANGES, 5, 2),
        (SeriesKind.FIXINGS, 1, 2),
        (SeriesKind.VAULT, 7, 1),
    ],
)
def test_all_that_a_panel_is_turned_into_is_clean(
    panel_rows: Panels, kind: SeriesKind, horizon: int, series: int
) -> None:
    rows = panel_rows(kind, series=series)
    findings = probe(rows, kind, horizon, seed=11, effort=QUICK)
    assert [(f.probe, f.subject, f.first) for f in findings if f.verdict != "clean"] == []
    assert {f.probe for f in findings} == {
        "cut", "cut in a hole", "changed future", "warm-up", "purge", "placebo",
    }  # fmt: skip
    purged = {f.subject for f in findings if f.probe == "purge"}
    assert purged >= {
        *members_for(kind),
        *([] if kind is SeriesKind.VAULT else [subjects.SPIKES]),
        "training rows",
        "error laws and calibration",
        "weights of the combination",
    } - {"combination"}


@given(
    kind=st.sampled_from(KINDS),
    cut=st.integers(40, 480),
    hole=st.integers(0, 4),
    series=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_every_feature_of_a_cut_history_is_that_of_the_full_one(
    panel_rows: Panels, kind: SeriesKind, cut: int, hole: int, series: int
) -> None:
    """Bit for bit, wherever the history ends and whatever is missing at its end; so are inputs and known outcomes."""
    rows = panel_rows(kind, days=500, series=series)
    moment = rows.loc[rows["series"] == "AAA", "as_of"].iloc[cut]
    history = punched(rows, moment, hole)
    cut_history = history[history["as_of"] <= moment]
    build = subjects.said_without_a_fit(kind, 5)
    full, part = build(history), build(cut_history)
    compared, differ, first = differences(full[full["as_of"] <= moment], part)
    assert (differ, first) == (0, "")
    assert compared > cut * len(feature_names(kind))


def test_a_leak_in_one_column_of_the_design_is_named(panel_rows: Panels, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later change that centres a window would be caught where it is used, not only in a copy of it."""
    rolling = pd.Series.rolling

    def centred(self, window, *args, **kwargs):
        return rolling(self, window, *args, **{**kwargs, "center": window == 30})

    sample = drawn(panel_rows(SeriesKind.CANDLES), SeriesKind.CANDLES, np.random.default_rng(1), QUICK)
    assert sample is not None
    build = subjects.design_of(SeriesKind.CANDLES)
    assert cut_and_compare(build, sample.rows, sample.cuts, "features").verdict == "clean"
    monkeypatch.setattr(pd.Series, "rolling", centred)
    found = cut_and_compare(build, sample.rows, sample.cuts, "features")
    assert found.verdict == "leak"
    assert found.first.startswith("log_mean_30 of ")


def test_the_seed_decides_what_is_probed(panel_rows: Panels) -> None:
    rows = panel_rows(SeriesKind.CANDLES, series=6)
    first, again, other = (drawn(rows, SeriesKind.CANDLES, np.random.default_rng(s), REGULAR) for s in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    assert (first.cuts, first.fits, first.starts) == (again.cuts, again.fits, again.starts)
    pd.testing.assert_frame_equal(first.rows, again.rows)
    assert first.cuts != other.cuts
    assert set(first.rows["series"]) != set(other.rows["series"])


def test_a_market_that_is_too_young_is_said_to_be_unprobed(panel_rows: Panels) -> None:
    (found,) = probe(panel_rows(SeriesKind.RANGES, days=900), SeriesKind.RANGES, 1, seed=1)
    assert found.verdict == "not probed"
    assert "1050 rows" in found.first


@pytest.mark.parametrize(
    ("series", "members"),
    [(6, ("ewma", "log_har", "log_har_x")), (1, ("ewma", "log_har", "lightgbm"))],
    ids=["later-series", "later-member"],
)
def test_who_comes_later_moves_nothing_of_the_past(panel_rows: Panels, series: int, members: tuple[str, ...]) -> None:
    """Four of six coins begin after two, and have their first fit after the cut; trees wait for 800 rows of the pool,
    which one coin has long after its baselines can be judged. Neither refit dates nor what is published may know."""
    rows = panel_rows(SeriesKind.CANDLES, days=900, series=series)
    calendar = rows.loc[rows["series"] == "AAA", "as_of"].reset_index(drop=True)
    late = ~rows["series"].isin(["AAA", "BBB"]) & (rows["as_of"] < calendar[420])
    rows = rows[~late].reset_index(drop=True)
    build = subjects.published(SeriesKind.CANDLES, 1, members)
    found = cut_and_compare(build, rows, [calendar[760]], "walk-forward", tolerance=subjects.PRODUCT_TOLERANCE)
    assert (found.verdict, found.first) == ("clean", "")
