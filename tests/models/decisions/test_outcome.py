"""A move beside the vault that stayed, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.decisions.outcome import after_the_fact

STABLE, HALF = np.array([1.0, 0.0]), np.array([0.5, 0.5])
FALL = np.array([[1.0, 100.0], [1.0, 80.0], [1.0, 80.0]])


def test_moving_out_before_a_fall_is_no_regret() -> None:
    found = after_the_fact(HALF, STABLE, FALL, 0.01)
    assert found.return_stayed == pytest.approx(-0.1)
    assert found.return_moved == pytest.approx(-0.01)
    assert found.regret == pytest.approx(-0.09)
    assert (found.risk_moved, found.risk_stayed) == pytest.approx((0.0, 0.1 / 2**0.5))


@pytest.mark.parametrize("closes", [FALL[:1], FALL[:, :1], FALL * np.array([1.0, 0.0]), FALL * np.array([1.0, np.nan])])
def test_no_outcome_is_made_of_prices_that_are_not_there(closes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="closes"):
        after_the_fact(HALF, STABLE, closes, 0.0)
