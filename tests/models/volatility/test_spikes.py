"""The spike classifier on a market whose spikes announce themselves in a way that the forecast cannot see."""

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.validation.spikes import area_under_roc
from models.volatility.law import spike_path
from models.volatility.lightgbm_spikes import MIN_SPIKES, SpikeClassifier
from models.volatility.outcomes import mixed, outcomes_of
from models.volatility.panel import Panel, build_panel
from models.volatility.walk_forward import pooled_paths, spike_paths

COIN = SeriesKind.CANDLES


@pytest.fixture(scope="module")
def announced(daily: pd.DataFrame) -> Panel:
    """Every tenth day of ten times the variance, announced the day before by a premium, and by nothing else."""
    rng = np.random.default_rng(8)
    rows = daily.copy()
    spike = rng.random(len(rows)) < 0.1
    rows.loc[spike, "rv"] *= 10.0
    rows["premium"] = np.where(np.append(spike[1:], False), 0.05, 0.0) + rng.normal(0.0, 0.01, len(rows))
    return build_panel(rows, COIN)


def test_it_finds_what_the_law_cannot_know(announced: Panel) -> None:
    direct = spike_paths(announced, 1)
    for series, grid in announced.grids.items():
        outcomes = outcomes_of(grid, COIN, announced.protocol, 1)
        level = np.full(len(grid), np.nanmean(grid.rv))
        law = spike_path(outcomes.target, level, outcomes.threshold, 1, announced.protocol.spike_window)
        rows = np.isfinite(direct[series]) & np.isfinite(law) & np.isfinite(outcomes.spike)
        assert rows.sum() > 300
        by_law, by_trees, by_both = (
            area_under_roc(outcomes.spike[rows], p[rows]) for p in (law, direct[series], mixed(law, direct[series]))
        )
        assert by_law < 0.8
        assert by_trees > by_law + 0.1
        assert by_both > by_law + 0.1


def test_a_changed_future_leaves_the_past_bit_for_bit(daily: pd.DataFrame) -> None:
    cut = daily["as_of"].iloc[860]
    changed = daily.assign(rv=daily["rv"].where(daily["as_of"] <= cut, 5 * daily["rv"]))
    before, after = (spike_paths(build_panel(rows, COIN), 7) for rows in (daily, changed))
    for series in before:
        assert np.isfinite(before[series][861 - 100 : 861]).all()
        assert before[series][:861].tobytes() == after[series][:861].tobytes()


def test_shares_do_not_show_and_a_reloaded_one_says_the_same(announced: Panel) -> None:
    whole, *shares = (spike_paths(announced, 1, *share) for share in ((0, 1), (0, 2), (1, 2)))
    for series, path in whole.items():
        one, two = (share[series] for share in shares)
        assert not (np.isfinite(one) & np.isfinite(two)).any()
        assert path.tobytes() == np.fmax(one, two).tobytes()
    fitted, again = SpikeClassifier(COIN, 1), SpikeClassifier(COIN, 1)
    fitted.fit(announced, announced.grids["AAA"].as_of[900])
    again.restore(fitted.state())
    for series in announced.grids:
        assert again.forecast(announced, series).tobytes() == fitted.forecast(announced, series).tobytes()


def test_a_pool_with_too_few_spikes_says_nothing(daily: pd.DataFrame) -> None:
    """A quantile of the last year is exceeded by a tenth of the days: 30 spikes take more than 250 of them."""
    alone = build_panel(daily[daily["series"] == "AAA"], COIN)
    grid = alone.grids["AAA"]
    spikes = np.nancumsum(outcomes_of(grid, COIN, alone.protocol, 1).spike)
    enough = int(np.searchsorted(spikes, MIN_SPIKES))
    for row, says in ((enough + 1, False), (enough + 2, True)):  # the outcome of a row, embargo included
        classifier = SpikeClassifier(COIN, 1)
        classifier.fit(alone, grid.as_of[row])
        assert np.isfinite(classifier.forecast(alone, "AAA")[-1]) == says


def test_mixing_by_hand() -> None:
    got = mixed(np.array([0.2, 0.2, 0.5]), np.array([0.2, 0.5, np.nan]))
    np.testing.assert_allclose(got, [0.2, 1 / 3, 0.5])  # odds 1/4 and 1: their geometric mean is 1/2


def test_one_fit_answers_for_the_rows_until_the_next(announced: Panel) -> None:
    class Counting:
        fits, refits_every = 0, 1

        def fit(self, panel: Panel, known_until: np.datetime64) -> None:
            self.fits += 1

        refresh = fit

        def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> np.ndarray:
            return np.full(len(panel.grids[series].rv[start:stop]), float(self.fits))

    path = pooled_paths(announced, Counting())["AAA"]
    assert np.isnan(path[:365]).all()
    assert path[365:421].tolist() == [1.0] * 56
    assert path[421] == 2.0
