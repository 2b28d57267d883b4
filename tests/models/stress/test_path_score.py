"""The score along a path: against plain Python, against the definition of the score, and what it may not see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.stress.counter_rng import key_of
from models.stress.path_score import PathScore, fill_known, fill_log_forecast, fit_path_score
from models.volatility.law import spike_probability
from tests.models.stress import slow_paths
from tests.models.stress.vaults import a_path_score


def clustered(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.zeros(n)
    for t in range(1, n):
        level[t] = 0.98 * level[t - 1] + 0.1 * rng.standard_normal()
    return np.asarray(0.005 * np.exp(level) * rng.standard_normal(n))


def forecast(score: PathScore, returns: np.ndarray, path: int = 0) -> np.ndarray:
    out = np.empty(len(returns) + 1)
    fill_log_forecast(score.terms, returns, key_of(3, "score_noise"), path, out)
    return out


@pytest.mark.parametrize("steps_per_day", [1, 24])
@pytest.mark.parametrize("noise_sd", [0.0, 0.4])
def test_the_kernel_is_plain_python(steps_per_day: int, noise_sd: float) -> None:
    score, returns = a_path_score(steps_per_day, noise_sd=noise_sd), clustered(60)
    slow = slow_paths.log_forecast(score.terms, returns, int(key_of(3, "score_noise")), 2**32 + 5)
    np.testing.assert_allclose(forecast(score, returns, 2**32 + 5), slow, rtol=0, atol=1e-13)


def test_nothing_is_known_before_it_happens() -> None:
    score, returns = a_path_score(noise_sd=0.3), clustered(80)
    changed = returns.copy()
    changed[40:] *= 10.0
    assert (forecast(score, changed)[:41] == forecast(score, returns)[:41]).all()
    assert (forecast(score, changed)[41:] != forecast(score, returns)[41:]).all()


def test_noise_has_its_size_and_lasts_a_day() -> None:
    noisy, quiet, still = a_path_score(noise_sd=0.4), a_path_score(), np.zeros(239)
    noise = np.array([forecast(noisy, still, path) - forecast(quiet, still) for path in range(400)])
    days = noise.reshape(400, 10, 24)
    assert np.ptp(days, axis=2).max() < 1e-12
    assert days[:, :, 0].std() == pytest.approx(0.4, abs=4 * 0.4 / math.sqrt(2 * 4000))
    assert abs(np.corrcoef(days[:, 0, 0], days[:, 1, 0])[0, 1]) < 4 / math.sqrt(400)


@pytest.mark.parametrize("value", [1.0, 50.0, 70.0, 80.0, 99.0])
def test_thresholds_of_score_and_of_forecast_are_the_same(value: float) -> None:
    score = a_path_score()
    at = score.log_forecast_at(value)
    below, there, above = score.score(np.array([at - 0.01, at, at + 0.01]))
    assert there == pytest.approx(value, abs=1e-6)
    assert below < value < above
    excess = np.array(score.errors.errors) > score.log_threshold - at
    assert excess.mean() == pytest.approx(float(spike_probability(value)), abs=0.02)


def test_a_score_that_never_comes_is_never_met() -> None:
    """The live rule leaves strictly above `enter` and comes back below `leave`: no score is above 100 or below 0."""
    score = a_path_score()
    assert score.log_forecast_at(100.0) == math.inf
    assert score.log_forecast_at(0.0) == -math.inf
    assert 0.0 < score.score(np.array([-1e3]))[0] < score.score(np.array([1e3]))[0] < 100.0


def test_a_fit_is_a_regression_of_days_that_do_not_overlap() -> None:
    returns = clustered(24 * 400 + 7)
    fitted = fit_path_score(returns, 24)
    variance = (returns[7:].reshape(400, 24) ** 2).sum(axis=1)
    path = slow_paths.log_forecast(fitted.terms._replace(start=np.full(3, returns[0] ** 2 * 24)), returns[1:])
    known = np.array(path)[6 + 24 * np.arange(400)]  # at the close of each day, the first one partial
    errors = np.log(variance) - known
    assert len(fitted.errors.errors) == 350
    np.testing.assert_allclose(fitted.errors.errors, errors[50:], rtol=0, atol=1e-9)
    assert np.exp(np.clip(errors[50:], -4, 4)).mean() == pytest.approx(1.0)
    assert fitted.log_threshold == pytest.approx(math.log(np.quantile(variance[-365:], 0.9)))
    assert np.corrcoef(known[50:], np.log(variance[50:]))[0, 1] > 0.3


def test_too_short_a_past_says_so() -> None:
    with pytest.raises(ValueError, match="250 days"):
        fit_path_score(clustered(24 * 300), 24)
    holes = clustered(24 * 400)
    holes[np.arange(0, 24 * 400, 8)] = np.nan  # an eighth of each day
    with pytest.raises(ValueError, match="got 0"):
        fit_path_score(holes, 24)


@pytest.mark.parametrize(
    ("lag", "every", "stale", "expected"),
    [
        (0, 1, [], [0, 1, 2, 3, 4, 5]),
        (2, 1, [], [-2, -1, 0, 1, 2, 3]),
        (0, 3, [], [0, 0, 0, 3, 3, 3]),
        (1, 2, [], [-2, 0, 0, 2, 2, 4]),
        (2, 24, [], [-24, -24, 0, 0, 0, 0]),
        (4, 3, [], [-6, -3, -3, -3, 0, 0]),
        (0, 1, [2, 3], [0, 1, 1, 1, 4, 5]),
        (1, 1, [1, 2], [-1, 0, 0, 0, 3, 4]),
        (0, 2, [2], [0, 0, 0, 0, 4, 4]),
    ],
)
def test_the_newest_score_that_is_known(lag: int, every: int, stale: list[int], expected: list[int]) -> None:
    """`stale`: closes at which none is made."""
    flags, out = np.zeros(5, dtype=bool), np.empty(6, dtype=np.int64)
    flags[[close - 1 for close in stale]] = True
    fill_known(lag, every, flags, out)
    assert out.tolist() == expected
