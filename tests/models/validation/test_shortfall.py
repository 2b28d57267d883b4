"""Tests of an expected shortfall: by hand, by their size on laws that hold, by what they find on laws that do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.risk.tails import StudentT, gaussian_tail
from models.validation.coverage import christoffersen, conditional_coverage, kupiec, kupiec_of_counts
from models.validation.shortfall import acerbi_szekely, fz0, z_statistics

LEVEL = 0.01
DAYS = 1000


def _promise(n: int = DAYS) -> tuple[np.ndarray, np.ndarray]:
    var, es = gaussian_tail(0.0, 1.0, LEVEL)
    return np.full(n, var), np.full(n, es)


def _gaussian(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(DAYS)


def test_statistics_by_hand() -> None:
    ret = np.array([-3.0, 1.0, -6.0, -0.5])
    var, es = np.array([2.0, 2.0, 4.0, 2.0]), np.array([4.0, 4.0, 5.0, 4.0])
    z1, z2 = z_statistics(ret, var, es, 0.25)
    assert float(z1) == pytest.approx((-3 / 4 - 6 / 5) / 2 + 1)
    assert float(z2) == pytest.approx((-3 / 4 - 6 / 5) / (4 * 0.25) + 1)


def test_no_exceedance_leaves_nothing_to_say_of_its_size() -> None:
    z1, z2 = z_statistics(np.ones(10), np.ones(10), np.ones(10), 0.01)
    assert (math.isnan(z1), float(z2)) == (True, 1.0)
    found = acerbi_szekely(np.ones(DAYS), *_promise(), LEVEL, _gaussian, np.random.default_rng(0), 50)
    assert (math.isnan(found.p1), found.p2) == (True, 1.0)


def test_a_law_that_holds_is_rejected_as_often_as_said() -> None:
    rng = np.random.default_rng(1)
    var, es = _promise()
    _, drawn = z_statistics(rng.standard_normal((2000, DAYS)), var, es, LEVEL)
    assert drawn.mean() == pytest.approx(0.0, abs=0.02)
    critical = np.quantile(drawn, 0.05)
    assert critical == pytest.approx(-0.55, abs=0.1)  # ten exceedances expected: s.d. about 0.34
    p = [acerbi_szekely(_gaussian(rng), var, es, LEVEL, _gaussian, rng, 199).p2 for _ in range(60)]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.1)
    assert np.mean(p) == pytest.approx(0.5, abs=0.12)


def test_fat_tails_are_found_behind_a_gaussian_promise() -> None:
    rng = np.random.default_rng(2)
    law = StudentT(3.0, 0.0, math.sqrt(1 / 3))  # the same variance
    ret = stats.t.rvs(3, size=DAYS, random_state=rng) * law.scale
    found = acerbi_szekely(ret, *_promise(), LEVEL, _gaussian, rng, 400)
    assert found.z2 < -0.5
    assert found.p2 < 0.05
    assert found.p1 < 0.02
    var, es = law.tail(LEVEL)

    def fat(draws: np.random.Generator) -> np.ndarray:
        return stats.t.rvs(3, size=DAYS, random_state=draws) * law.scale

    kept = acerbi_szekely(ret, np.full(DAYS, var), np.full(DAYS, es), LEVEL, fat, rng, 400)
    assert kept.p2 > 0.05


def test_p_values_are_shares_of_the_simulated_histories() -> None:
    histories = iter(np.array([[-3.0, 1.0], [-5.0, 1.0], [2.0, 1.0]]))
    var, es = np.array([2.0, 2.0]), np.array([4.0, 4.0])
    found = acerbi_szekely(np.array([-4.0, 1.0]), var, es, 0.5, lambda _: next(histories), np.random.default_rng(0), 3)
    assert found.p1 == pytest.approx((1 + 1) / (1 + 2))  # the third history has no exceedance
    assert found.p2 == pytest.approx((1 + 1) / (1 + 3))


@given(st.floats(0.5, 3.0), st.floats(0.01, 2.0))
def test_fz0_is_the_lowest_in_the_mean_at_the_true_tail(var: float, more: float) -> None:
    ret = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    best = fz0(ret, *(np.full(len(ret), x) for x in gaussian_tail(0.0, 1.0, LEVEL)), LEVEL).mean()
    other = fz0(ret, np.full(len(ret), var), np.full(len(ret), var + more), LEVEL).mean()
    assert other >= best - 1e-3


def test_fz0_by_hand_and_without_a_number() -> None:
    ret = np.array([-3.0, 1.0, math.nan, 1.0])
    var, es = np.array([2.0, 2.0, 2.0, math.nan]), np.array([4.0, 4.0, 4.0, 4.0])
    got = fz0(ret, var, es, 0.25)
    assert got[:2] == pytest.approx([1 / (0.25 * 4) + 0.5 + math.log(4) - 1, 0.5 + math.log(4) - 1])
    assert np.isnan(got[2:]).all()


def test_conditional_coverage_joins_both_tests() -> None:
    hits = np.zeros(500, dtype=bool)
    hits[[3, 4, 200, 201, 202, 400]] = True
    rate = stats.chi2.isf(kupiec(hits, 0.01), 1)
    dependence = stats.chi2.isf(christoffersen(hits), 1)
    assert conditional_coverage(hits, 0.01) == pytest.approx(stats.chi2.sf(rate + dependence, 2))
    assert conditional_coverage(np.zeros(100, dtype=bool), 0.01) > 0.3


@pytest.mark.parametrize(("days", "exceeded"), [(365, 0), (365, 4), (52, 9)])
def test_counts_are_enough_for_kupiec(days: int, exceeded: int) -> None:
    assert kupiec_of_counts(days, exceeded, 0.05) == kupiec(np.arange(days) < exceeded, 0.05)
