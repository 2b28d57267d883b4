"""Stylised facts: by hand on short series, by another library on long ones; a generator that is wrong is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.stress.bootstrap import Present, fit_bootstrap
from models.stress.facts import autocorrelations, check_facts, facts_of
from tests.models.stress.vaults import GivenPaths


def clustered(rows: int, assets: int = 2) -> np.ndarray:
    rng, level = np.random.default_rng(rows), np.zeros(rows)
    for t in range(1, rows):
        level[t] = 0.9 * level[t - 1] + 0.3 * rng.standard_normal()
    common = rng.standard_normal((rows, 1))
    return np.asarray(0.01 * np.exp(level)[:, None] * (common + rng.standard_normal((rows, assets))))


def test_autocorrelations_by_hand() -> None:
    # Deviations -1.5, -0.5, 0.5, 1.5: sum of squares 5; lag 1: 0.75 - 0.25 + 0.75 = 1.25; lag 2: -0.75 - 0.75 = -1.5.
    found = autocorrelations(np.array([1.0, 2.0, 3.0, 4.0])[None, :, None], 2)
    assert found[0, :, 0] == pytest.approx([0.25, -0.3])
    assert (autocorrelations(np.ones((1, 8, 1)), 3) == 0.0).all()


def test_facts_by_another_library() -> None:
    paths = np.stack([clustered(602)[start : start + 600] for start in range(3)])
    found = facts_of(paths)
    for i, path in enumerate(paths):
        frame = pd.DataFrame(path)
        assert found["sd"][i] == pytest.approx(frame.std(ddof=0))
        assert found["excess_kurtosis"][i] == pytest.approx(stats.kurtosis(path))
        assert found["correlation"][i, 0] == pytest.approx(frame.corr().iloc[0, 1])
        ahead = (frame**2).rolling(10).mean().shift(-10)
        assert found["leverage"][i] == pytest.approx([frame[a].corr(ahead[a]) for a in frame])


def test_a_bootstrap_matches_its_sample_and_noise_does_not() -> None:
    sample = clustered(1_500)
    good = check_facts(fit_bootstrap(sample, present=Present.IGNORED, length=60), sample, ("A", "B"), 0)
    assert (good.rows, good.paths, good.total) == (1_500, 100, 11)
    assert good.matched >= 9  # one in twenty misses by chance
    noise = GivenPaths(sample.std() * np.random.default_rng(5).standard_normal((100, 1_500, 2)))
    bad = check_facts(noise, sample, ("A", "B"), 0).facts
    assert [bad["A"][name].matches for name in ("acf_abs_1_10", "acf_abs_11_50", "excess_kurtosis")] == [False] * 3
    assert not bad["pairs"]["correlation"].matches


def test_only_usable_rows_and_only_the_newest_count() -> None:
    sample = clustered(2_500, 1)
    sample[2_400] = np.nan
    found = check_facts(fit_bootstrap(sample), sample, ("A",), 0)
    assert (found.rows, found.total) == (2_048, 5)
    assert found.facts["A"]["sd"].sample == pytest.approx(np.delete(sample, 2_400)[-2_048:].std())
