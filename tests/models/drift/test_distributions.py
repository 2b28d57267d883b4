"""Distances of distributions by hand and by scipy, and the family-wise rate of the weekly look."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.drift.alarms import NotEnoughHistory
from models.drift.distributions import kolmogorov_distance, stability_index, watch_distributions


def test_stability_index_by_hand() -> None:
    reference = np.arange(1.0, 101.0)  # edges 20.8, 40.6, 60.4, 80.2: a fifth each
    recent = np.array([1.0, 2, 3, 4, 5, 30, 50, 70, 90, 95])  # five, one, one, one, two of ten
    p, q = np.array([0.5, 0.1, 0.1, 0.1, 0.2]), np.full(5, 0.2)
    assert stability_index(recent, reference) == pytest.approx(float(((p - q) * np.log(p / q)).sum()))


def test_an_empty_bin_counts_as_half_a_row() -> None:
    found = stability_index(np.full(10, 1000.0), np.arange(1.0, 101.0))
    p, q = np.array([0.05, 0.05, 0.05, 0.05, 1.0]), np.full(5, 0.2)
    assert found == pytest.approx(float(((p - q) * np.log(p / q)).sum()))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_kolmogorov_distance_is_that_of_the_empirical_distributions_of_scipy(a: list[int], b: list[int]) -> None:
    x, y = np.array(a, dtype=float), np.array(b, dtype=float)
    points = np.concatenate([x, y])
    expected = np.abs(stats.ecdf(x).cdf.evaluate(points) - stats.ecdf(y).cdf.evaluate(points)).max()
    assert kolmogorov_distance(x, y) == pytest.approx(expected)


@given(st.lists(st.floats(-5, 5), min_size=5, max_size=50))
def test_a_sample_is_at_no_distance_from_itself(values: list[float]) -> None:
    x = np.array(values)
    assert stability_index(x, x) == 0.0
    assert kolmogorov_distance(x, x) == 0.0


def features(days: int, seed: int = 0) -> pd.DataFrame:
    """Ten features that remember: autoregressions of half-lives from none to a month."""
    rng = np.random.default_rng(seed)
    out = {}
    for k, memory in enumerate(np.linspace(0.0, 0.97, 10)):
        x = rng.normal(size=days)
        for t in range(1, days):
            x[t] = memory * x[t - 1] + np.sqrt(1 - memory**2) * x[t]
        out[f"f{k}"] = x
    return pd.DataFrame(out)


NAMES = [f"f{k}" for k in range(10)]


def test_quiet_features_raise_at_most_the_stated_alarms() -> None:
    rates = []
    for seed in range(4):
        watch = watch_distributions(features(1800, seed), NAMES, 1.0, np.random.default_rng(seed))
        rates.append(len(watch.alarms()) / watch.threshold.quarters)
        assert watch.threshold.per_quarter == 1.0
    assert max(rates) <= 1.0
    assert sum(rates) > 0.0


def test_the_folklore_threshold_would_cry_all_the_time() -> None:
    watch = watch_distributions(features(1800), NAMES, 1.0, np.random.default_rng(0))
    assert (watch.distances["f9:psi"] > 0.2).mean() > 0.5


def test_a_feature_that_changed_is_named() -> None:
    rows = features(1806)
    rows.loc[1750:, "f3"] += 4.0
    watch = watch_distributions(rows, NAMES, 1.0, np.random.default_rng(0))
    last = watch.alarms()[-1]
    assert last.row > 1750
    assert last.worst.startswith("f3:")
    assert last.figures["f3:ks"] > 0.5


def test_missing_features_are_left_out_and_holes_are_not_judged() -> None:
    rows = features(1000).assign(f1=np.nan)
    rows.loc[950:, "f2"] = np.nan
    watch = watch_distributions(rows, NAMES, 1.0, np.random.default_rng(0))
    assert "f1:ks" not in watch.distances
    assert np.isnan(watch.distances["f2:ks"].iloc[-1])
    assert np.isfinite(watch.statistic).all()


@pytest.mark.parametrize(
    ("rows", "names", "why"),
    [(features(450), NAMES, "weeks after the first year"), (features(900), ["other"], "none of the features")],
)
def test_what_cannot_be_watched_says_why(rows: pd.DataFrame, names: list[str], why: str) -> None:
    with pytest.raises(NotEnoughHistory, match=why):
        watch_distributions(rows, names, 1.0, np.random.default_rng(0))
