"""Planted leaks: each small wrong builder or learner is caught by the probe that should, its honest twin by none."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.validation.leak_histories import HOLE_ROWS, differences
from models.validation.leak_subjects import EMBARGO, training_sets
from models.validation.leaks import (
    Build,
    Finding,
    cut_and_compare,
    future_change,
    known_in_time,
    merged,
    open_labels,
    purged,
    warm_up_stability,
)
from models.volatility.har import LogHar
from models.volatility.panel import build_panel
from models.volatility.targets import training_stop
from tests.models.validation.conftest import Panels

COIN = SeriesKind.CANDLES


@pytest.fixture(scope="module")
def rows(panel_rows: Panels) -> pd.DataFrame:
    return panel_rows(COIN, days=420)


@pytest.fixture(scope="module")
def cuts(rows: pd.DataFrame) -> list[pd.Timestamp]:
    return [rows["as_of"].iloc[place] for place in (150, 233, 390)]


def column(make: Callable[[pd.Series], pd.Series]) -> Build:
    """A feature of each series by itself, from the logarithm of its variance."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        log_rv = np.log(rows["rv"])
        return rows[["series", "as_of"]].assign(feature=log_rv.groupby(rows["series"]).transform(make))

    return build


TRAILING = column(lambda x: x.rolling(21, min_periods=5).mean())
CENTRED = column(lambda x: x.rolling(21, min_periods=5, center=True).mean())
STANDARDISED = column(lambda x: (x - x.mean()) / x.std())
EXPANDING = column(lambda x: (x - x.expanding().mean()) / x.expanding().std())
OVER_MAXIMUM = column(lambda x: x - x.max())
ABOVE_MEDIAN = column(lambda x: (x > x.quantile(0.9)).astype(float))
FILLED_BACK = column(lambda x: x.bfill())
FILLED_FORWARD = column(lambda x: x.ffill())


@pytest.mark.parametrize(
    ("build", "by_cut", "in_hole", "by_change"),
    [
        pytest.param(CENTRED, True, True, True, id="centred-window"),
        pytest.param(STANDARDISED, True, True, True, id="whole-sample-standardisation"),
        pytest.param(ABOVE_MEDIAN, True, True, True, id="whole-sample-threshold"),
        pytest.param(FILLED_BACK, False, True, False, id="filled-from-the-future"),
        pytest.param(TRAILING, False, False, False, id="trailing-window"),
        pytest.param(EXPANDING, False, False, False, id="expanding-standardisation"),
        pytest.param(FILLED_FORWARD, False, False, False, id="filled-from-the-past"),
    ],
)
def test_what_looks_ahead_is_caught(
    rows: pd.DataFrame, cuts: list[pd.Timestamp], build: Build, by_cut: bool, in_hole: bool, by_change: bool
) -> None:
    findings = (
        cut_and_compare(build, rows, cuts, "feature"),
        cut_and_compare(build, rows, cuts, "feature", hole=HOLE_ROWS),
        future_change(build, rows, cuts, "feature"),
    )
    assert [finding.verdict == "leak" for finding in findings] == [by_cut, in_hole, by_change]
    assert all(finding.cases > 0 for finding in findings)


def test_a_statistic_that_the_past_happens_to_decide_shows_when_the_future_is_another(rows: pd.DataFrame) -> None:
    """The highest variance of all lies before the cut: cutting leaves the maximum, a scaled future does not."""
    peak = rows.loc[rows.groupby("series")["rv"].idxmax(), "as_of"].max()
    cuts = [rows.loc[rows["as_of"] > peak, "as_of"].min()]
    assert cut_and_compare(OVER_MAXIMUM, rows, cuts, "feature").verdict == "clean"
    assert future_change(OVER_MAXIMUM, rows, cuts, "feature").verdict == "leak"


def test_a_threshold_from_all_targets_is_caught_where_only_the_label_uses_it(
    rows: pd.DataFrame, cuts: list[pd.Timestamp]
) -> None:
    """The features are honest and so are the targets; what counts as a spike knows the whole sample."""

    def build(history: pd.DataFrame) -> pd.DataFrame:
        limit = history.groupby("series")["rv"].transform(lambda rv: rv.quantile(0.9))
        return history[["series", "as_of"]].assign(spike=(history["rv"] > limit).astype(float))

    found = future_change(build, rows, cuts, "spikes")
    assert found.verdict == "leak"
    assert found.first.startswith("spike of AAA at ")


STREET = pd.DataFrame(
    {
        "series": "USDNGN",
        "as_of": pd.date_range("2024-01-01", periods=60, freq="D", tz="UTC"),
        "rate": 1000.0 + np.arange(60.0) ** 1.5,
    }
).assign(known_at=lambda rows: rows["as_of"] + pd.Timedelta(days=2))
DECISIONS = pd.DataFrame({"as_of": pd.date_range("2024-01-05", periods=50, freq="D", tz="UTC")})


def joined(clock: str) -> Build:
    """The newest street rate at each decision, `newest` by the given clock."""

    def build(history: pd.DataFrame) -> pd.DataFrame:
        events = history.sort_values(clock).assign(moment=lambda rows: rows[clock])
        found = pd.merge_asof(DECISIONS, events[["moment", "rate", "known_at"]], left_on="as_of", right_on="moment")
        return found.assign(series="USDNGN")[["series", "as_of", "rate"]]

    return build


@pytest.mark.parametrize(("clock", "verdict"), [("as_of", "leak"), ("known_at", "clean")])
def test_a_join_by_the_date_of_the_event_knows_too_early(clock: str, verdict: str) -> None:
    cuts = [DECISIONS["as_of"].iloc[place] for place in (7, 30)]
    found = cut_and_compare(joined(clock), STREET, cuts, "premium", clock="known_at")
    assert found.verdict == verdict
    if verdict == "leak":  # cut on the 12th: the rates of the 11th and 12th had happened and were not known yet
        assert found.first.startswith("rate of USDNGN at 2024-01-11 00:00: ")


@pytest.mark.parametrize(
    ("known_after", "grace", "leaks"),
    [("0D", None, 0), ("1s", None, 3), ("1h", "1h", 0), ("61min", "1h", 3)],
)
def test_rows_known_after_their_decision_are_counted(known_after: str, grace: str | None, leaks: int) -> None:
    rows = STREET.head(3).assign(known_at=lambda rows: rows["as_of"] + pd.Timedelta(known_after))
    found = known_in_time(rows, "premium", grace=None if grace is None else pd.Timedelta(grace))
    assert (found.cases, found.leaks) == (3, leaks)


class Trained(LogHar):
    """log-HAR with another rule of what may train: `stop` is the first row that may not."""

    stop: Callable[[int, int], int]

    def fit(self, panel, known_until) -> None:
        for series, grid in panel.grids.items():
            stop = type(self).stop(grid.rows_until(known_until) - 1, self.horizon_days)
            target = np.log(self._target(grid)[:stop])
            design = self._scale(grid.har[:stop])
            usable = np.isfinite(target) & np.isfinite(design).all(axis=1)
            self.coefficients = np.linalg.lstsq(design[usable], target[usable], rcond=None)[0]
            self.parameters[series] = tuple(self.coefficients)


def learned_by(rule: Callable[[int, int], int], horizon: int):
    member_class = type("Ruled", (Trained,), {"stop": staticmethod(rule)})

    def fit(rows: pd.DataFrame, moment: pd.Timestamp) -> str:
        member = member_class(COIN, horizon)
        member.fit(build_panel(rows, COIN), moment.tz_localize(None).to_datetime64())
        return json.dumps({series: list(values) for series, values in member.parameters.items()})

    return fit


RULES = {
    "no purge": (lambda position, horizon: position + 1, "leak"),
    "purged by a day whatever the horizon": (lambda position, horizon: position - 1, "leak"),
    "no embargo": (lambda position, horizon: position - horizon + 1, "leak"),
    "horizon and embargo": (training_stop, "clean"),
    "one day more": (lambda position, horizon: training_stop(position, horizon) - 1, "clean"),
}


@pytest.mark.parametrize("rule", RULES)
def test_labels_that_overlap_the_test_period_are_caught(rows: pd.DataFrame, rule: str) -> None:
    """By what the learner keeps, and by the rows themselves."""
    stop, verdict = RULES[rule]
    moments = [rows["as_of"].iloc[300], rows["as_of"].iloc[380]]
    assert [f.verdict for f in open_labels({rule: learned_by(stop, 7)}, rows, moments)] == [verdict]
    position = 300
    calendar = rows.loc[rows["series"] == "AAA", "as_of"].reset_index(drop=True)
    inside = np.arange(stop(position, 7))
    training = pd.DataFrame(
        {"series": "AAA", "as_of": calendar.iloc[inside].to_numpy(), "label_end": calendar.iloc[inside + 7].to_numpy()}
    )
    found = purged(training, calendar.iloc[position], EMBARGO, rule)
    assert found.verdict == verdict
    assert found.cases == stop(position, 7)
    # By hand: label end s + 7 plus one day is open for s > 292; stop is the first row that does not train.
    assert found.leaks == max(0, stop(position, 7) - 293)


def test_the_rule_of_the_protocol_holds_on_every_calendar(panel_rows: Panels) -> None:
    for kind, horizon in ((COIN, 7), (SeriesKind.FIXINGS, 5)):
        sets = training_sets(kind, horizon, panel_rows(kind))
        found = merged(purged(training, fitted_at, EMBARGO, str(kind)) for fitted_at, training in sets)
        assert found.verdict == "clean"
        assert found.cases > 10_000


@pytest.mark.parametrize(
    ("stated", "verdict"), [({"feature": 21}, "clean"), ({"feature": 20}, "leak"), ({}, "leak")], ids=str
)
def test_a_warm_up_that_is_too_short_or_not_stated_is_caught(
    rows: pd.DataFrame, cuts: list[pd.Timestamp], stated: dict[str, int], verdict: str
) -> None:
    found = warm_up_stability(TRAILING, rows, cuts[:1], stated, "feature", 1e-9)
    assert found.verdict == verdict


def test_what_reads_the_panel_waits_for_the_slowest_series(rows: pd.DataFrame, cuts: list[pd.Timestamp]) -> None:
    """CCC prints every third day: after a cut its window of five fills three times as slowly."""
    sparse = rows[(rows["series"] != "CCC") | (rows.groupby("series").cumcount() % 3 == 0)]

    def build(history: pd.DataFrame) -> pd.DataFrame:
        own = history.groupby("series")["rv"].transform(lambda rv: rv.rolling(5, min_periods=1).sum())
        wide = own.groupby(history["as_of"]).transform("max")
        return history[["series", "as_of"]].assign(wide=wide)

    alone, panel = (
        warm_up_stability(build, sparse, cuts[:1], {"wide": 5}, "feature", 1e-9, wide)
        for wide in (frozenset(), frozenset({"wide"}))
    )
    assert (alone.verdict, panel.verdict) == ("leak", "clean")


FRAME = pd.DataFrame(
    {
        "series": ["A", "A", "B"],
        "as_of": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01"], utc=True),
        "x": [1.0, np.nan, -3.0],
    }
)


@pytest.mark.parametrize(
    ("after", "tolerance", "found"),
    [
        (FRAME, 0.0, (3, 0, "")),
        (FRAME.iloc[[2, 0, 1]], 0.0, (3, 0, "")),
        (FRAME.assign(x=[1.0 + 1e-12, np.nan, -3.0]), 0.0, (3, 1, "x of A at 2024-01-01 00:00: 1 became 1")),
        (FRAME.assign(x=[1.0 + 1e-12, np.nan, -3.0]), 1e-9, (3, 0, "")),
        (FRAME.assign(x=[1.0, 0.0, -3.0]), 1e-9, (3, 1, "x of A at 2024-01-02 00:00: nan became 0")),
        (FRAME.assign(x=[1.0, np.nan, np.inf]), 1e-9, (3, 1, "x of B at 2024-01-01 00:00: -3 became inf")),
        (FRAME.head(2), 0.0, (3, 1, "x of B at 2024-01-01 00:00: the row is there on one side only")),
    ],
    ids=["same", "another-order", "last-bit", "within", "no-longer-missing", "infinite", "row-gone"],
)
def test_differences(after: pd.DataFrame, tolerance: float, found: tuple[int, int, str]) -> None:
    assert differences(FRAME, after, tolerance) == found


def test_nothing_compared_is_not_a_clean_bill() -> None:
    assert Finding("cut", "features", 0, 0).verdict == "not probed"
