"""Stress kernels beside others: nearly the drawdowns of `arch`, bare kernels that draw what they say. Nothing timed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestration.bench import stress
from orchestration.bench.bare_kernels import draw_each_block, draw_each_step, draw_each_step_by_numpy, drawdown_of

RETURNS = np.random.default_rng(3).normal(0.0, 0.01, 400)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([0.1, 0.2], (0.3, 0.0)),
        ([-0.1, 0.3], (0.2, 0.1)),  # the start is a peak
        ([0.2, -0.1, 0.05, -0.3, 0.5], (0.35, 0.35)),
    ],
)
def test_the_statistic(returns: list[float], expected: tuple[float, float]) -> None:
    assert drawdown_of(np.array(returns)) == pytest.approx(expected)


def test_bare_kernels_of_one_row_know_their_end() -> None:
    out = np.empty((2, 2))
    for fill in (draw_each_step, draw_each_step_by_numpy):
        fill(np.array([-0.25]), 4, 1, out)
        assert (out == np.array([-1.0, 1.0])).all()
    draw_each_block(np.full(6, -0.25), 3, 4, 1, out)  # 3 rows and their repetition, the second block cut short
    assert (out == np.array([-1.0, 1.0])).all()


@pytest.mark.parametrize("kernel", ["step", "numpy", "block"])
def test_bare_kernels_draw_all_rows_alike(kernel: str) -> None:
    out = np.empty((4_000, 2))
    if kernel == "block":
        draw_each_block(np.concatenate([RETURNS, RETURNS[:24]]), 24, 48, 5, out)
        variance = 2 * _sum_of_block(RETURNS, 24).var()
    else:
        (draw_each_step if kernel == "step" else draw_each_step_by_numpy)(RETURNS, 48, 5, out)
        variance = 48 * RETURNS.var()
    deviation = np.sqrt(variance / len(out))
    assert abs(out[:, 0].mean() - 48 * RETURNS.mean()) < 4 * deviation
    assert out[:, 0].var() == pytest.approx(variance, rel=4 * np.sqrt(2 / len(out)))


def _sum_of_block(returns: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    wrapped = np.concatenate([returns, returns[:length]])
    return np.array([wrapped[row : row + length].sum() for row in range(len(returns))])


def test_the_bootstrap_and_arch_find_nearly_the_same_drawdown() -> None:
    found = stress.beside_arch(RETURNS, seed=11, paths=2_000, repeats=1)
    drawdown = found["mean_drawdown"]["values"]
    assert drawdown["bootstrap"] == pytest.approx(drawdown["arch"], rel=0.1)  # blocks of `arch` wrap around
    assert found["bootstrap_to_arch"]["value"] > 0


def test_every_generator_and_kernel_is_measured() -> None:
    found = stress.measure(seed=7, paths=50, repeats=1)
    names = set(stress.generators(stress.hourly_returns(7)))
    bare = {"bare_draw_each_step", "bare_draw_each_step_by_numpy", "bare_draw_each_block"}
    assert set(found) == {"how", "times_the_rate_of", "arch", "threads", *names, *bare}
    for name in names | bare:
        assert found[name]["unit"] == "path-steps/s"
        assert found[name]["value"] > 0
    assert {bare: set(rates["values"]) for bare, rates in found["times_the_rate_of"].items()} == dict.fromkeys(
        bare, names
    )
    assert "on_1" in found["threads"]


def test_many_paths_keep_no_path() -> None:
    found = stress.measure_many(seed=7, paths=300, steps=100)
    assert found["rate"]["value"] > 0
    assert 0 < found["drawdown_p99"]["value"] < 1
    assert found["peak_with_the_paths"]["value"] >= found["peak_before_the_paths"]["value"]
