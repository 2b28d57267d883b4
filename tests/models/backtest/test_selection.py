"""Deflated Sharpe ratio and overfitting: published example, closed forms, and a slow count beside the fast one."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from models.backtest.selection import (
    deflated_sharpe,
    expected_best,
    probabilistic_sharpe,
    probability_of_overfitting,
)
from models.contracts.score import ScoreStatus


def test_the_example_of_the_paper() -> None:
    """Bailey & Lopez de Prado 2014: ratio 2.5 a year over 1,250 days, 100 trials with variance 1/2, skew -3,
    kurtosis 10: expected best 0.1132 a day, deflated ratio 0.9004."""
    best = expected_best(math.sqrt(0.5 / 250), 100)
    assert best == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(2.5 / math.sqrt(250), best, 1250, -3.0, 10.0) == pytest.approx(0.9004, abs=5e-5)


def test_the_expected_best_is_that_of_normal_draws() -> None:
    draws = np.random.default_rng(1).normal(0, 0.05, (20_000, 50)).max(axis=1)
    assert expected_best(0.05, 50) == pytest.approx(draws.mean(), rel=0.02)
    assert expected_best(0.05, 1) == 0.0


def test_more_trials_deflate_more() -> None:
    rng = np.random.default_rng(2)
    returns = rng.normal(0.001, 0.02, 1000)
    own = returns.mean() / returns.std(ddof=1)
    alone = deflated_sharpe(returns, np.array([own]))
    searched = deflated_sharpe(returns, np.append(rng.normal(0, 0.03, 99), own))
    assert (alone.expected_best, alone.trials, searched.trials) == (0.0, 1, 100)
    # A single trial of normal returns: the ordinary one-sided test of a mean.
    assert alone.probability == pytest.approx(stats.norm.cdf(own * math.sqrt(999)), abs=0.01)
    assert searched.probability < alone.probability


def test_a_course_that_never_moves_has_no_deflated_ratio() -> None:
    assert math.isnan(deflated_sharpe(np.zeros(300), np.zeros(3)).probability)


def slow_pbo(returns: np.ndarray, splits: int) -> float:
    blocks = np.array_split(returns, splits)
    worse = []
    for half in combinations(range(splits), splits // 2):
        inside = np.concatenate([blocks[i] for i in half])
        outside = np.concatenate([blocks[i] for i in range(splits) if i not in half])
        best = int(np.argmax(inside.mean(axis=0) / inside.std(axis=0, ddof=1)))
        ranks = stats.rankdata(outside.mean(axis=0) / outside.std(axis=0, ddof=1))
        omega = ranks[best] / (returns.shape[1] + 1)
        worse.append(math.log(omega / (1 - omega)) <= 0)
    return float(np.mean(worse))


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_the_slow_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(rng.normal(0, 0.05, 7), 1.0, (96, 7))
    assert probability_of_overfitting(returns, 8).pbo == slow_pbo(returns, 8)


def test_a_trial_that_is_always_the_best_is_no_accident() -> None:
    noise = np.random.default_rng(3).normal(0, 0.01, (320, 5))
    noise[:, 2] += 0.05
    found = probability_of_overfitting(noise)
    assert (found.pbo, found.prob_loss, found.trials, found.combinations) == (0.0, 0.0, 5, math.comb(16, 8))
    assert found.verdict == "the best of the search keeps its rank"


def test_what_wins_one_half_loses_the_other_where_the_whole_is_nothing() -> None:
    x = np.random.default_rng(4).normal(0, 0.01, 320)
    x -= x.mean()
    found = probability_of_overfitting(np.column_stack([x, -x]))
    assert (found.pbo, found.prob_loss) == (1.0, 1.0)
    assert found.verdict == "not distinguishable"


def test_noise_is_a_toss_of_a_coin() -> None:
    pbos = [probability_of_overfitting(np.random.default_rng(s).normal(0, 1, (320, 10)), 10).pbo for s in range(30)]
    assert np.mean(pbos) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("days", "trials", "status"),
    [(160, 2, ScoreStatus.OK), (159, 2, ScoreStatus.INSUFFICIENT_DATA), (160, 1, ScoreStatus.INSUFFICIENT_DATA)],
)
def test_enough_days_and_trials(days: int, trials: int, status: ScoreStatus) -> None:
    found = probability_of_overfitting(np.random.default_rng(5).normal(size=(days, trials)))
    assert (found.status, found.required, found.received) == (status, 160, days)
    assert math.isnan(found.pbo) == (status is ScoreStatus.INSUFFICIENT_DATA)


def test_odd_splits_and_missing_returns_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        probability_of_overfitting(np.zeros((100, 2)), 5)
    with pytest.raises(ValueError, match="finite"):
        probability_of_overfitting(np.full((160, 2), np.nan))
