"""Regimes of rows: calm and wild months are told apart, by the hour as by the day, from the past alone."""

from __future__ import annotations

import numpy as np
import pytest

from models.stress.regime_history import regime_history


def months(steps_per_day: int, days: int = 600) -> np.ndarray:
    rng, steps = np.random.default_rng(1), days * steps_per_day
    sigma = np.where(np.arange(steps) // (60 * steps_per_day) % 2 == 0, 0.005, 0.03)[:, None]
    return np.asarray(sigma * rng.standard_normal((steps, 2)) / np.sqrt(steps_per_day))


@pytest.mark.parametrize("steps_per_day", [1, 24])
def test_wild_months_have_wilder_regimes(steps_per_day: int) -> None:
    returns = months(steps_per_day)
    found = regime_history(returns, steps_per_day)
    assert found.probabilities.shape == (len(returns), 3)
    assert found.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert found.move.sum(axis=1) == pytest.approx(1.0)
    assert (found.now == found.probabilities[-1]).all()
    day = np.arange(len(returns)) // steps_per_day
    late = day % 60 >= 30
    expected = found.probabilities @ np.arange(3)
    calm, wild = (expected[late & (day // 60 % 2 == half)].mean() for half in (0, 1))
    assert wild > calm + 1.0


def test_an_hour_moves_by_a_24th_of_a_day() -> None:
    found = regime_history(months(24), 24)
    assert np.diag(found.move).min() > 0.98


def test_what_comes_later_changes_no_regime_but_by_the_fit() -> None:
    returns = months(1)
    own, changed = regime_history(returns, 1), returns.copy()
    changed[-1] = 0.0
    assert regime_history(changed, 1).probabilities[:400] == pytest.approx(own.probabilities[:400], abs=0.05)


def test_too_few_days() -> None:
    with pytest.raises(ValueError, match="100 days are too few"):
        regime_history(months(24, 100), 24)
