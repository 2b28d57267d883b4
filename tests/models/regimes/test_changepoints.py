"""Online changepoints against the published recursion written out in full, and on planted changes."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from models.regimes.changepoints import NEGLIGIBLE, PRIOR_OBSERVATIONS, changepoints, segment_ages

FloatArray = NDArray[np.float64]
PRIOR = {"level": -7.0, "level_weight": 0.1, "shape": 3.0, "rate": 1.0}
HAZARD = 0.02


def adams_mackay(x: FloatArray, week: int) -> tuple[FloatArray, FloatArray]:
    """Algorithm 1 of the paper, every run length kept, the predictive from scipy.

    Its run length 0 says that a change lies between today and tomorrow, which no data can speak of: it always has the
    probability of the hazard. What is left, rescaled, is the age of today's segment.
    """
    run = np.array([1.0])  # P(run length = 0) before any day
    mu, kappa = np.array([PRIOR["level"]]), np.array([PRIOR["level_weight"]])
    alpha, beta = np.array([PRIOR["shape"]]), np.array([PRIOR["rate"]])
    recent, age = [], []
    for value in x:
        if math.isnan(value):
            density = np.ones(len(run))
        else:
            scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
            density = stats.t.pdf(value, 2 * alpha, loc=mu, scale=scale)
        grown, fresh = run * density * (1 - HAZARD), (run * density * HAZARD).sum()
        run = np.concatenate([[fresh], grown])
        run /= run.sum()
        assert run[0] == pytest.approx(HAZARD)
        if not math.isnan(value):
            beta = beta + kappa * (value - mu) ** 2 / (2 * (kappa + 1))
            mu, kappa, alpha = (kappa * mu + value) / (kappa + 1), kappa + 1, alpha + 0.5
        mu = np.concatenate([[PRIOR["level"]], mu])
        kappa = np.concatenate([[PRIOR["level_weight"]], kappa])
        alpha, beta = np.concatenate([[PRIOR["shape"]], alpha]), np.concatenate([[PRIOR["rate"]], beta])
        ages = run[1:] / run[1:].sum()
        days = np.arange(1, len(ages) + 1)
        recent.append(ages[:week].sum())
        age.append((ages * days).sum())
    return np.array(recent), np.array(age)


def planted(n: int = 240, change: int = 150, step: float = 2.0, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return -7.5 + 0.6 * rng.standard_normal(n) + np.where(np.arange(n) >= change, step, 0.0)


@pytest.mark.parametrize("missing", [(), (0,), (40, 41, 42), (149,)], ids=str)
def test_the_recursion_is_the_published_one(missing: tuple[int, ...]) -> None:
    x = planted(200)
    x[list(missing)] = math.nan
    want = adams_mackay(x, 7)
    got = segment_ages(x, HAZARD, *PRIOR.values(), 0.0, 7)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-8)


def test_giving_up_hopeless_beginnings_changes_next_to_nothing() -> None:
    x = planted(600)
    whole, pruned = (segment_ages(x, HAZARD, *PRIOR.values(), limit, 7) for limit in (0.0, NEGLIGIBLE))
    np.testing.assert_allclose(pruned[0], whole[0], atol=1e-4)
    np.testing.assert_allclose(pruned[1], whole[1], rtol=1e-2)


def test_a_planted_change_is_seen_within_a_week_and_then_ages() -> None:
    found = changepoints(planted())
    assert found.recent[153:157].max() > 0.9
    assert found.recent[110:150].max() < 0.5
    assert found.age[200] == pytest.approx(51, abs=3)
    assert found.recent[200] < 0.05


def test_no_number_before_the_prior_has_its_days() -> None:
    x = planted()
    x[10] = math.nan
    found = changepoints(x)
    first = PRIOR_OBSERVATIONS  # one day later for the missing one
    assert np.isnan(found.recent[:first]).all()
    assert np.isfinite(found.recent[first:]).all()
    assert np.isnan(changepoints(x[:PRIOR_OBSERVATIONS]).age).all()


def test_the_past_does_not_change() -> None:
    x = planted(400)
    changed = np.concatenate([x[:300], np.full(100, -1.0)])
    for before, part, after in zip(
        *((f.recent, f.age) for f in (changepoints(x), changepoints(x[:300]), changepoints(changed))), strict=True
    ):
        assert before[:300].tobytes() == part.tobytes() == after[:300].tobytes()


def test_a_week_has_a_day() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        changepoints(planted(), 0)
