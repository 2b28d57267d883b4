"""Episodes and thresholds: hand-counted cases, and the promised rate on data that the threshold has not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.drift.alarms import NotEnoughHistory
from models.drift.thresholds import DAYS_A_QUARTER, bootstrap_rows, calibrate, daily_maxima, episodes

NAN = np.nan


@pytest.mark.parametrize(
    ("path", "rearm", "expected"),
    [
        pytest.param([0, 2, 2, 0, 0, 2], 2, [1, 5], id="again-after-three-rows"),
        pytest.param([0, 2, 2, 0, 0, 2], 3, [1], id="still-the-same"),
        pytest.param([2, 0, 2, 0, 2], 2, [0], id="each-exceedance-keeps-it-alive"),
        pytest.param([1, 1, 1], 1, [], id="at-the-threshold-is-not-above"),
        pytest.param([NAN, NAN, 2], 1, [2], id="missing-is-not-above"),
        pytest.param([], 1, [], id="empty"),
    ],
)
def test_episodes_by_hand(path: list[float], rearm: int, expected: list[int]) -> None:
    assert episodes(np.array(path, dtype=float), 1.0, rearm).tolist() == expected


@given(arrays.arrays(float, st.integers(0, 60), elements=st.floats(0, 3)), st.integers(0, 9))
def test_episodes_agree_with_a_loop(path: np.ndarray, rearm: int) -> None:
    slow, last = [], None
    for row, value in enumerate(path):
        if value > 1.5:
            if last is None or row - last > rearm:
                slow.append(row)
            last = row
    assert episodes(path, 1.5, rearm).tolist() == slow


@given(st.integers(1, 300), st.floats(1.0, 50.0), st.integers(0, 99))
def test_resampled_rows_are_runs_of_rows(n: int, mean_block: float, seed: int) -> None:
    rows = bootstrap_rows(n, mean_block, np.random.default_rng(seed))
    assert len(rows) == n
    assert ((rows >= 0) & (rows < n)).all()


def test_blocks_have_their_mean_length() -> None:
    rows = bootstrap_rows(100_000, 20.0, np.random.default_rng(0))
    breaks = (np.diff(rows) % 100_000 != 1).sum() + 1
    assert 100_000 / breaks == pytest.approx(20.0, rel=0.05)


def test_the_stated_rate_holds_on_days_that_were_not_seen() -> None:
    rng = np.random.default_rng(3)
    days = round(8 * DAYS_A_QUARTER)
    seen = []
    for _ in range(40):
        limit = calibrate(rng.normal(size=days), DAYS_A_QUARTER, 1.0, 2, 5.0, rng, resamples=100)
        later = rng.normal(size=40 * days)
        seen.append(len(episodes(later, limit.value, 2)) / (len(later) / DAYS_A_QUARTER))
    assert np.mean(seen) < 1.0  # nine of ten resampled histories keep it, so the average is well inside
    assert np.mean(seen) > 0.3  # and it is not bought with a threshold out of reach


def test_a_history_without_an_episode_says_no_less_than_its_length_shows() -> None:
    limit = calibrate(np.zeros(400), DAYS_A_QUARTER, 0.01, 2, 5.0, np.random.default_rng(0))
    assert (limit.value, limit.observed) == (0.0, 0.0)
    assert limit.per_quarter == pytest.approx(DAYS_A_QUARTER / 400)


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(NotEnoughHistory, match=r"1\.1 quarters .* 2 are needed"):
        calibrate(np.zeros(100), DAYS_A_QUARTER, 1.0, 2, 5.0, np.random.default_rng(0))


def test_the_same_seed_gives_the_same_threshold() -> None:
    path = np.random.default_rng(1).exponential(size=800)
    first, second = (calibrate(path, DAYS_A_QUARTER, 1.0, 5, 20.0, np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_daily_maxima_leave_out_the_oldest_rows_that_fill_no_day() -> None:
    path = np.array([9.0, 1, 2, 3, NAN, NAN, NAN])
    np.testing.assert_array_equal(daily_maxima(path, 3), [3.0, NAN])
    assert len(daily_maxima(path, 8)) == 0
