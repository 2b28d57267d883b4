"""VaR by each method on returns whose law is known, at both horizons, and what the backtest counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.risk.methods import LEVELS, Method, backtest_rows, estimate, student_t_paths
from models.risk.tails import fit_student_t, gaussian_tail, historical_tail
from models.risk.var import tail_path, trailing_sum
from models.validation.coverage import kupiec_of_counts

COINS = PROTOCOLS[SeriesKind.CANDLES]


def _market(n: int, seed: int, days: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian returns with a volatility that moves, the true mean variance of the next days, and that of each day."""
    rng = np.random.default_rng(seed)
    variance = np.exp(-7.5 + np.cumsum(0.03 * rng.standard_normal(n + days)))
    ret = np.sqrt(variance[:n]) * rng.standard_normal(n)
    ahead = np.lib.stride_tricks.sliding_window_view(variance[1:], days).mean(axis=1)
    return ret, ahead[:n], variance


@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("method", [Method.FILTERED, Method.STUDENT_T])
def test_a_known_law_gets_its_closed_form(method: Method, days: int) -> None:
    """Averaged over samples: residuals of h days overlap, so that each sample says little about a tail."""
    found, want = [], []
    for seed in range(6):
        ret, forecast, _ = _market(1600, seed, days)
        got = estimate(method, ret, forecast, days, COINS)
        sigma = math.sqrt(days * forecast[-1])
        found.append(np.array([got.var95, got.es95, got.var99, got.es99]) / sigma)
        want.append([x for level in LEVELS for x in gaussian_tail(0.0, 1.0, level)])
    assert np.mean(found, axis=0) == pytest.approx(np.mean(want, axis=0), rel=0.03 if days == 1 else 0.08)


def test_history_is_the_sample_itself() -> None:
    ret, forecast, _ = _market(1500, 3)
    got = estimate(Method.HISTORICAL, ret, np.full(len(ret), np.nan), 1, COINS)
    assert (got.var99, got.es99) == pytest.approx(historical_tail(ret[-1000:], 0.01))
    assert (got.var95, got.es95) == pytest.approx(historical_tail(ret[-1000:], 0.05))
    week = estimate(Method.HISTORICAL, ret, forecast, 7, COINS)
    sums = np.array([ret[t - 6 : t + 1].sum() for t in range(500, 1500)])
    assert (week.var95, week.es95) == pytest.approx(historical_tail(sums, 0.05))
    assert got.sample == week.sample == 1000


@pytest.mark.parametrize(("days", "sample"), [(1, 897), (7, 900 - 7 - 2 * 7)])
def test_the_filtered_tail_is_that_of_the_kernel(days: int, sample: int) -> None:
    """Of the hits of h windows that overlap each counts for an h-th."""
    ret, forecast, _ = _market(900, 4, days)
    ret[[400, 700]] = np.nan
    got = estimate(Method.FILTERED, ret, forecast, days, COINS, step=0.005)
    var, es, level = tail_path(ret, forecast, 0.005 / days, 0.01, days)
    assert (got.var99, got.es99) == (var[-1], es[-1])
    assert level[-1] != 0.01
    assert got.sample == sample


def test_a_week_of_residuals_is_the_definition() -> None:
    rng = np.random.default_rng(5)
    ret, forecast, _ = _market(1500, 5, 7)
    ret[rng.integers(0, 1500, 4)] = np.nan
    var, es, _ = tail_path(ret, forecast, 0.0, 0.05, 7)
    for t in (600, 1200, 1499):
        z = [ret[s + 1 : s + 8].sum() / math.sqrt(7 * forecast[s]) for s in range(max(0, t - 6 - 1000), t - 6)]
        known = np.array(z)[np.isfinite(z)]
        want = np.array(historical_tail(known, 0.05)) * math.sqrt(7 * forecast[t])
        assert (var[t], es[t]) == pytest.approx(tuple(want))


@pytest.mark.parametrize("days", [1, 7])
def test_no_method_looks_ahead(days: int) -> None:
    ret, forecast, _ = _market(900, 6, days)
    then = {method: estimate(method, ret[:800], forecast[:800], days, COINS) for method in Method}
    ret[800:] *= -20
    forecast[800:] *= 400
    flat = np.full(900, 1.0 / days)
    assert then[Method.HISTORICAL].var99 == tail_path(ret, flat, 0.0, 0.01, days)[0][799]
    assert then[Method.FILTERED].var99 == tail_path(ret, forecast, 0.0, 0.01, days)[0][799]
    assert then[Method.STUDENT_T].var99 == student_t_paths(ret, forecast, days, COINS.refit_step)[1][0][799]


def test_the_law_is_fitted_again_each_month_to_the_last_thousand() -> None:
    ret, forecast, _ = _market(1700, 7)
    (var95, _), (var99, es99) = student_t_paths(ret, forecast, 1, 28)
    z = ret[1:] / np.sqrt(forecast[:-1])
    assert np.isnan(var95[:300]).all()
    for row in (300, 300 + 28 * 45):
        law = fit_student_t(z[max(0, row - 1000) : row])
        assert law is not None
        for later in (row, row + 27):
            assert (var99[later], es99[later]) == pytest.approx(np.array(law.tail(0.01)) * math.sqrt(forecast[later]))
    late = student_t_paths(ret, forecast, 1, 28, since=1600)
    assert late[0][0][1600:].tobytes() == var95[1600:].tobytes()


@pytest.mark.parametrize("method", list(Method))
def test_little_history_gives_no_number(method: Method) -> None:
    ret, forecast, _ = _market(301, 8)
    few = estimate(method, ret[:300], forecast[:300], 1, COINS)
    enough = estimate(method, ret, forecast, 1, COINS)
    assert (few.sample, math.isnan(few.var99), few.tested) == (299, True, 0)
    assert (enough.sample, math.isnan(enough.var99), enough.tested) == (300, False, 0)


@pytest.mark.parametrize(
    ("n", "days", "year", "want"),
    [
        (10, 1, 4, [5, 6, 7, 8]),
        (10, 1, 365, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (20, 7, 12, [5, 12]),
        (7, 7, 12, []),
        (8, 7, 12, [0]),
    ],
)
def test_rows_of_the_backtest_do_not_overlap(n: int, days: int, year: int, want: list[int]) -> None:
    assert backtest_rows(n, days, year).tolist() == want


@pytest.mark.parametrize("days", [1, 7])
def test_the_backtest_counts_what_the_path_said(days: int) -> None:
    ret, forecast, _ = _market(1500, 9, days)
    ret[1400] = np.nan
    got = estimate(Method.FILTERED, ret, forecast, days, COINS)
    rows = backtest_rows(len(ret), days, 365)
    for level, seen in zip(LEVELS, (got.exceeded95, got.exceeded99), strict=True):
        var = tail_path(ret, forecast, 0.0, level, days)[0]
        loss = np.array([-ret[t + 1 : t + 1 + days].sum() for t in rows])
        assert seen == int((loss[np.isfinite(loss)] > var[rows][np.isfinite(loss)]).sum())
    assert got.tested == (365 - 1 if days == 1 else 53 - 1)
    assert kupiec_of_counts(got.tested, got.exceeded95, 0.05) > 0.001


@pytest.mark.parametrize(
    ("days", "want"), [(1, [1.0, 2.0, None, 4.0, 5.0]), (2, [None, 3.0, None, None, 9.0]), (6, [None] * 5)]
)
def test_returns_over_several_days_need_all_of_them(days: int, want: list[float | None]) -> None:
    got = trailing_sum(np.array([1.0, 2.0, np.nan, 4.0, 5.0]), days)
    assert [None if math.isnan(x) else x for x in got.tolist()] == want
