import numpy as np
import pytest

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.volatility.targets import first_fit, forward_mean, known_threshold, refit_points, training_stop

NAN = np.nan


@pytest.mark.parametrize(
    ("rv", "horizon", "expected"),
    [
        ([1, 2, 3], 1, [2, 3, NAN]),
        ([1, 2, 3, 4, 5], 2, [2.5, 3.5, 4.5, NAN, NAN]),
        ([1, 2, NAN, 4, 5], 2, [NAN, NAN, 4.5, NAN, NAN]),
        ([1, 2], 5, [NAN, NAN]),
    ],
)
def test_the_target_is_strictly_ahead(rv: list[float], horizon: int, expected: list[float]) -> None:
    np.testing.assert_allclose(forward_mean(np.array(rv, dtype=float), horizon), expected)


def test_a_threshold_knows_only_closed_windows() -> None:
    target = np.arange(20.0)
    got = known_threshold(target, 3, 10)
    assert np.isnan(got[7])  # five known values, six needed
    assert got[12] == np.quantile(target[0:10], 0.9)  # targets of rows 0..9: row 9 closes on day 12
    target[10:] = 1e9
    assert known_threshold(target, 3, 10)[12] == got[12]


@pytest.mark.parametrize(("position", "horizon", "stop"), [(100, 1, 99), (100, 7, 93), (3, 7, 0)])
def test_training_stops_before_open_windows_and_the_embargo(position: int, horizon: int, stop: int) -> None:
    assert training_stop(position, horizon) == stop  # last row s = stop - 1: s + horizon + 1 <= position


def test_refits_follow_the_protocol() -> None:
    fx = PROTOCOLS[SeriesKind.FIXINGS]
    assert first_fit(fx) == 375
    assert refit_points(420, fx) == [375, 396, 417]
    assert refit_points(300, fx) == []
