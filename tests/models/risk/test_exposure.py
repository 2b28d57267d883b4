import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.risk.exposure import exposure, volatility_target_weights


def test_figures_of_one_asset_by_hand() -> None:
    got = exposure(np.array([0.0, 0.5, 1.0, 0.5]))
    assert (got.gross, got.net, got.highest, got.invested) == (0.5, 0.5, 1.0, 0.75)
    assert got.turnover == pytest.approx(0.5)  # each step moves half the portfolio between the asset and the stable one
    assert got.concentration == 1.0


def test_figures_of_several_assets_by_hand() -> None:
    got = exposure(np.array([[0.6, 0.2], [0.4, 0.4], [0.5, -0.5]]))
    assert (got.gross, got.highest) == (pytest.approx((0.8 + 0.8 + 1.0) / 3), 1.0)
    assert got.net == pytest.approx((0.8 + 0.8 + 0.0) / 3)
    assert got.concentration == pytest.approx((0.625 + 0.5 + 0.5) / 3)
    # 0.2 from one to the other; then +0.1, -0.9 and +0.8 of the stable one
    assert got.turnover == pytest.approx((0.2 + 0.9) / 2)


def test_nothing_held_has_no_concentration() -> None:
    got = exposure(np.zeros((3, 2)))
    assert (got.gross, got.invested, got.turnover) == (0.0, 0.0, 0.0)
    assert math.isnan(got.concentration)


@pytest.mark.parametrize(
    ("volatility", "want"),
    [
        ([0.4], [0.5]),
        ([0.1], [1.0]),  # capped
        ([0.4, 0.43, 0.45], [0.5, 0.5, 0.2 / 0.45]),  # 0.465 is within a tenth of 0.5; 0.444 is not
        ([0.4, 0.37, 0.365], [0.5, 0.5, 0.5]),  # 0.541 and 0.548: within a tenth of the wanted one
        ([0.4, 0.35], [0.5, 0.2 / 0.35]),
        ([math.nan, 0.4, math.nan, 0.8], [0.0, 0.5, 0.5, 0.25]),
    ],
)
def test_weights_by_hand(volatility: list[float], want: list[float]) -> None:
    assert volatility_target_weights(np.array(volatility), 0.2) == pytest.approx(want)


@given(st.lists(st.floats(0.05, 3.0), min_size=1, max_size=60), st.floats(0.05, 1.0), st.floats(0.2, 3.0))
def test_promised_risk_stays_within_the_band(volatility: list[float], target: float, highest: float) -> None:
    sigma = np.array(volatility)
    weights = volatility_target_weights(sigma, target, highest)
    wanted = np.minimum(highest, target / sigma)
    assert (np.abs(weights - wanted) <= 0.1 * wanted + 1e-12).all()
    assert (weights <= highest + 1e-12).all()
    free = volatility_target_weights(sigma, target, highest, band=0.0)
    np.testing.assert_array_equal(free, wanted)
    assert exposure(weights).turnover <= exposure(free).turnover + 1e-12


@pytest.mark.parametrize(("volatility", "target", "highest"), [(0.0, 0.2, 1.0), (0.2, 0.0, 1.0), (0.2, 0.2, -1.0)])
def test_impossible_arguments_are_refused(volatility: float, target: float, highest: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        volatility_target_weights(np.array([volatility]), target, highest)
