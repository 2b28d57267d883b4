"""How many dates a comparison in shadow needs: against published numbers, scipy and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.validation.power import FACTOR, LEVEL, MIN_DATES, POWER, dates_needed, read


def test_the_factor_is_that_of_the_normal_quantiles() -> None:
    assert pytest.approx((stats.norm.isf(LEVEL) + stats.norm.ppf(POWER)) ** 2, rel=1e-12) == FACTOR
    assert round(FACTOR, 1) == 6.2


@pytest.mark.parametrize(("d", "dates"), [(0.3, 69), (-0.3, 69), (0.05, 2474), (1.0, 7), (2.4865, 1)])
def test_dates_needed(d: float, dates: int) -> None:
    assert dates_needed(d) == dates  # 6.1826 / d^2, rounded up


def test_that_many_dates_give_the_power() -> None:
    """Simulated: 4,000 contests at d = 0.3; the binomial s.e. of a power of 0.80 is 0.006."""
    rng = np.random.default_rng(3)
    n = dates_needed(0.3)
    draws = rng.normal(0.3, 1.0, (4000, n))
    found = [read(np.zeros(n), row).p_value for row in draws]
    power = float(np.mean([p is not None and p < LEVEL for p in found]))
    assert power == pytest.approx(POWER, abs=0.025)


def test_reading_by_hand() -> None:
    own, other = np.array([0.2, 0.4, 0.3, 0.3]), np.array([0.3, 0.7, 0.4, 0.6])
    difference = np.array([0.1, 0.3, 0.1, 0.3])  # mean 0.2, s.d. 0.2 / sqrt(3)
    found = read(own, other)
    assert found.dates == 4
    assert found.d == pytest.approx(np.sqrt(3.0))
    assert found.needed == 3  # 6.18 / 3 = 2.06
    assert found.p_value == pytest.approx(stats.ttest_1samp(difference, 0.0, alternative="greater").pvalue)
    assert found.verdict == "not decidable yet: 26 more dates at this d"


@pytest.mark.parametrize(
    ("mean", "dates", "verdict"),
    [
        (1.0, MIN_DATES - 1, "not decidable yet: 1 more dates at this d"),
        (1.0, MIN_DATES, "better"),
        (-1.0, MIN_DATES, "worse"),
        (0.2, 100, "not decidable yet: 55 more dates at this d"),
        (0.2, 155, "better"),
    ],
)
def test_verdicts(mean: float, dates: int, verdict: str) -> None:
    """Differences with exactly the mean and a spread of one."""
    noise = np.linspace(-1.0, 1.0, dates)
    noise = noise / noise.std(ddof=1)
    assert read(np.zeros(dates), noise + mean).verdict == verdict


@pytest.mark.parametrize("values", [[], [0.3], [0.3, 0.3, 0.3]], ids=["none", "one", "no-spread"])
def test_without_spread_there_is_no_d(values: list[float]) -> None:
    found = read(np.zeros(len(values)), np.array(values))
    assert (found.dates, found.d, found.needed, found.p_value) == (len(values), None, None, None)
    assert found.verdict == "not decidable yet: no difference seen"
