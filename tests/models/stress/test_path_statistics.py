"""Figures of a path by hand, and against the equity curve itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.stress.path_statistics import FIGURES, in_shares, measure, statistics_of
from tests.models.stress import slow_paths


def statistics(*paths: list[float]) -> dict[str, list[float]]:
    """Of paths of simple returns in percent, one asset."""
    returns = np.log1p(np.array(paths) / 100.0)
    out = np.empty((len(paths), 1, FIGURES))
    for path, figures in zip(returns, out, strict=True):
        measure(path[None, :], figures)
    found = statistics_of(out, returns.shape[1])
    return {name: getattr(found, name)[:, 0].tolist() for name in found.__dataclass_fields__}


@pytest.mark.parametrize(
    ("percent", "end", "drawdown", "lowest", "under_water", "spell"),
    [
        ([10, 10, 10, 10], 1.1**4, 0.0, 1.1, 0.0, 0),
        ([-10, 0, 0, 0], 0.9, 0.1, 0.9, 1.0, 4),
        ([100, -50, 100, -75], 0.5, 0.75, 0.5, 0.5, 1),
        ([-50, 100, 0, -20], 0.8, 0.5, 0.5, 0.5, 1),
        ([50, -20, -25, 200], 2.7, 0.4, 0.9, 0.5, 2),
        ([0, 0, 0, 0], 1.0, 0.0, 1.0, 0.0, 0),
    ],
)
def test_figures_by_hand(
    percent: list[float], end: float, drawdown: float, lowest: float, under_water: float, spell: int
) -> None:
    found = statistics(percent)
    assert np.exp(found["log_return"][0]) == pytest.approx(end)
    assert found["max_drawdown"][0] == pytest.approx(drawdown)
    assert found["lowest"][0] == pytest.approx(lowest)
    assert found["under_water"][0] == under_water
    assert found["longest_spell"][0] == spell


@given(st.lists(st.integers(-512, 512), min_size=1, max_size=40))
def test_figures_are_those_of_the_equity_curve(binary: list[int]) -> None:
    returns = np.array(binary) / 1024.0  # sums are exact: equal peaks are equal
    out = np.empty((1, 1, FIGURES))
    measure(returns[None, :], out[0])
    found = statistics_of(out, len(returns))
    for name, value in slow_paths.figures(returns).items():
        assert getattr(found, name)[0, 0] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize(("paths", "threads"), [(10, 1), (10, 3), (2, 4), (0, 2), (7, 7)])
def test_shares_cover_every_path_once(paths: int, threads: int) -> None:
    seen = np.zeros(paths, dtype=int)

    def work(first: int, end: int) -> None:
        seen[first:end] += 1

    in_shares(work, paths, threads)
    assert (seen == 1).all()


def test_an_error_of_a_share_is_not_lost() -> None:
    def work(first: int, end: int) -> None:
        raise RuntimeError(f"share {first}")

    with pytest.raises(RuntimeError, match="share"):
        in_shares(work, 4, 2)
