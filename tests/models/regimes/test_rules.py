"""Hysteresis, the rule-based twin, trends, sample sizes: by hand, and what must hold for any input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.horizons import PROTOCOLS, Protocol
from models.contracts.market import SeriesKind
from models.regimes.hysteresis import settle, spell_lengths
from models.regimes.rule import rank_in_year, rule_labels, weeks_needed, weeks_there
from models.regimes.sample import MIN_DAYS, days_in_each, shortage
from models.regimes.trend import trend_of, trend_strength

DAILY, FX = PROTOCOLS[SeriesKind.CANDLES], PROTOCOLS[SeriesKind.FIXINGS]


@pytest.mark.parametrize(
    ("support", "labels", "doubtful"),
    [
        ([(0.6, 0.4, 0.0)], [-1], [0]),  # must be over 0.6
        ([(0.61, 0.39, 0.0)], [0], [0]),
        ([(0.7, 0.3, 0.0), (0.40, 0.60, 0.0)], [0, 0], [0, 0]),
        ([(0.7, 0.3, 0.0), (0.39, 0.61, 0.0)], [0, 1], [0, 0]),
        ([(0.7, 0.3, 0.0), (0.35, 0.33, 0.32)], [0, 0], [0, 1]),  # left, but nothing else is entered
        ([(0.7, 0.3, 0.0), (0.35, 0.33, 0.32), (0.1, 0.1, 0.8)], [0, 0, 2], [0, 1, 0]),
    ],
)
def test_enter_above_leave_below(support: list[tuple[float, ...]], labels: list[int], doubtful: list[int]) -> None:
    got, doubt = settle(np.array(support))
    assert got.tolist() == labels
    assert doubt.tolist() == [bool(d) for d in doubtful]


@given(st.lists(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3), min_size=1, max_size=40), st.data())
def test_a_label_depends_on_the_past_alone(rows: list[list[float]], data: st.DataObject) -> None:
    support = np.array(rows)
    support /= support.sum(axis=1, keepdims=True)
    stop = data.draw(st.integers(1, len(rows)))
    whole, part = settle(support), settle(support[:stop])
    assert whole[0][:stop].tolist() == part[0].tolist()
    assert whole[1][:stop].tolist() == part[1].tolist()


@pytest.mark.parametrize(
    ("labels", "lengths"), [([], []), ([1], [1]), ([0, 0, 2, 2, 2, 0], [2, 3, 1]), ([-1, -1, 1], [2, 1])]
)
def test_spells(labels: list[int], lengths: list[int]) -> None:
    assert spell_lengths(np.array(labels, dtype=np.int64)).tolist() == lengths


@pytest.mark.parametrize(
    ("ranks", "labels"),
    [
        ([math.nan, 0.5], [-1, 1]),
        ([0.29, 0.45, 0.46], [0, 0, 1]),
        ([0.30], [1]),
        ([0.81, 0.65, 0.64, 0.80], [2, 2, 1, 1]),
        ([0.9, math.nan, 0.5], [2, 2, 1]),
        ([0.9, 0.1, 0.9], [2, 0, 2]),  # from one end to the other in a day
    ],
)
def test_the_rule_by_hand(ranks: list[float], labels: list[int]) -> None:
    assert rule_labels(np.array(ranks)).tolist() == labels


def test_the_rank_counts_the_weeks_of_the_last_year() -> None:
    rng = np.random.default_rng(0)
    rv = np.exp(rng.normal(-7, 1, 900))
    week = np.array([rv[t - 6 : t + 1].mean() if t >= 6 else np.nan for t in range(900)])
    got = rank_in_year(rv, DAILY)
    for t in (500, 731, 899):
        assert got[t] == pytest.approx((week[t - 364 : t + 1] <= week[t]).mean())
    # min_periods of a week is 5 of 7 days: the first weekly mean is there on day 4
    first = 4 + weeks_needed(DAILY) - 1
    assert np.isnan(got[first - 1])
    assert np.isfinite(got[first])
    assert weeks_there(rv, DAILY)[first] == weeks_needed(DAILY) == 219


@pytest.mark.parametrize("protocol", [DAILY, FX])
def test_a_rank_does_not_see_the_future(protocol: Protocol) -> None:
    rng = np.random.default_rng(1)
    rv = np.exp(rng.normal(-7, 1, 700))
    rv[rng.random(700) < 0.05] = np.nan
    changed = rv.copy()
    changed[500:] *= 100
    before, after = (rank_in_year(values, protocol)[:500] for values in (rv, changed))
    assert before.tobytes() == after.tobytes()


def test_trend_by_hand() -> None:
    # 0.01 a day for 30 days at 4 % daily volatility: 0.30 / (0.04 sqrt(30)) = 1.369
    ret, rv = np.full(40, 0.01), np.full(40, 0.04**2)
    got = trend_strength(ret, rv, 30)
    assert np.isnan(got[28])
    assert got[29] == pytest.approx(0.3 / (0.04 * math.sqrt(30)))
    ret[35] = math.nan
    assert np.isnan(trend_strength(ret, rv, 30)[35:]).all()


@pytest.mark.parametrize(
    ("strength", "label"),
    [(0.5, "flat"), (0.51, "up"), (-0.5, "flat"), (-0.51, "down"), (0.0, "flat"), (math.nan, None)],
)
def test_trend_labels(strength: float, label: str | None) -> None:
    assert trend_of(strength) == label


def test_days_are_counted_where_they_were_seen() -> None:
    labels = np.array([0, 0, 1, 2, -1, 2])
    seen = np.array([True, False, True, True, True, True])
    assert days_in_each(labels, seen)[-1].tolist() == [1, 1, 2]
    assert days_in_each(labels, seen)[2].tolist() == [1, 1, 0]


@pytest.mark.parametrize(("rarest", "said"), [(MIN_DAYS, None), (MIN_DAYS - 1, "60 days in each regime required")])
def test_sixty_days_in_each(rarest: int, said: str | None) -> None:
    got = shortage(np.array([100, 200, rarest]))
    assert got is None if said is None else (said in str(got) and "stressed 59" in str(got))
