"""Confidence: a product of shares, falling with each of them, never outside 0 to 1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.volatility.confidence import ONE_SOURCE, confidence

shares = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("imputed", "stale", "familiarity", "sources", "expected"),
    [
        (0.0, 0.0, 1.0, 2, 1.0),
        (0.0, 0.0, 1.0, 1, 0.9),
        (0.2, 0.0, 1.0, 3, 0.8),
        (0.2, 0.5, 0.5, 1, 0.8 * 0.5 * 0.5 * 0.9),
        (1.0, 0.0, 1.0, 2, 0.0),
    ],
)
def test_by_hand(imputed: float, stale: float, familiarity: float, sources: int, expected: float) -> None:
    assert confidence(imputed, stale, familiarity, sources) == pytest.approx(expected)


@given(shares, shares, shares, st.integers(1, 5), shares)
def test_nothing_makes_up_for_what_is_poor(a: float, b: float, c: float, sources: int, less: float) -> None:
    whole = confidence(a, b, c, sources)
    assert 0.0 <= whole <= min(1.0 - a, 1.0 - b, c)
    assert confidence(max(a, less), b, c, sources) <= whole
    assert confidence(a, b, min(c, less), sources) <= whole
    assert confidence(a, b, c, 1) <= whole <= confidence(a, b, c, 1) / ONE_SOURCE + 1e-12


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((1.1, 0.0, 1.0, 1), "share_imputed is 1.1"),
        ((0.0, -0.1, 1.0, 1), "share_stale is -0.1"),
        ((0.0, 0.0, float("nan"), 1), "familiarity is nan"),
        ((0.0, 0.0, 1.0, 0), "sources is 0"),
    ],
)
def test_what_is_no_share_is_refused(values: tuple[float, float, float, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        confidence(*values)
