"""Bootstrap intervals: against the closed form where there is one, and paired."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.backtest.intervals import block_length, intervals, resamples
from models.contracts.score import ScoreStatus

RNG = np.random.default_rng
INDEPENDENT = RNG(5).normal(0.001, 0.02, 2000)


def test_the_interval_of_a_sharpe_ratio_has_the_width_of_its_standard_error() -> None:
    found = intervals({"a": INDEPENDENT}, {}, RNG(1), ("sharpe",)).of["a"]["sharpe"]
    ratio = INDEPENDENT.mean() / INDEPENDENT.std(ddof=1)
    error = math.sqrt((1 + ratio**2 / 2) / 2000 * 365)  # Lo (2002), independent normal returns
    assert found.value == pytest.approx(ratio * math.sqrt(365))
    assert found.high - found.low == pytest.approx(2 * 1.645 * error, rel=0.15)
    assert found.low < found.value < found.high


def test_strategies_are_resampled_together() -> None:
    """A strategy that makes 10 bp a day more has the same volatility and a tail 10 bp shorter on every resample."""
    found = intervals({"a": INDEPENDENT + 0.001, "b": INDEPENDENT}, {"a": "b"}, RNG(1), ("volatility", "es99"), 200)
    assert set(found.less) == {"a"}
    for name, expected in (("volatility", 0.0), ("es99", -0.001)):
        interval = found.less["a"][name]
        assert (interval.value, interval.low, interval.high) == pytest.approx((expected,) * 3, abs=1e-12)
    ratio = found.less["a"]["es99_ratio"]
    assert ratio.value == pytest.approx(-0.001 / found.of["b"]["es99"].value)
    assert ratio.low < ratio.value < ratio.high < 0


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, second = (intervals({"a": INDEPENDENT}, {}, RNG(3), ("sharpe",), 50) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("days", "status"), [(249, ScoreStatus.INSUFFICIENT_DATA), (250, ScoreStatus.OK)])
def test_days_on_both_sides_of_what_is_required(days: int, status: ScoreStatus) -> None:
    found = intervals({"a": INDEPENDENT[:days]}, {}, RNG(1), ("sharpe",), 20)
    assert (found.status, found.required, found.received) == (status, 250, days)
    assert bool(found.of) == (status is ScoreStatus.OK)


def test_blocks_are_as_long_as_volatility_remembers() -> None:
    level = np.zeros(4000)
    for t in range(1, 4000):
        level[t] = 0.97 * level[t - 1] + RNG(t).normal(0, 0.2)
    clustered = RNG(2).normal(0, 0.02, 4000) * np.exp(level)
    assert block_length(INDEPENDENT[:, None]) == 5.0
    assert block_length(clustered[:, None]) > 25.0
    assert block_length(np.column_stack([clustered, np.zeros(4000)])) == block_length(clustered[:, None])
    assert block_length(clustered[:300, None]) <= 300 / 8


def test_positions_run_on_within_a_block() -> None:
    index = resamples(400, 10.0, 200, RNG(4))
    assert index.shape == (200, 400)
    jumps = (np.diff(index, axis=1) % 400 != 1).mean()
    assert jumps == pytest.approx(0.1, abs=0.01)  # one new block in ten steps


def test_a_course_that_never_moves_has_no_interval_of_its_ratio() -> None:
    found = intervals({"a": INDEPENDENT[:300], "b": np.zeros(300)}, {"a": "b"}, RNG(1), ("sharpe", "es99"), 20)
    assert math.isnan(found.of["b"]["sharpe"].low)
    assert "es99_ratio" not in found.less["a"]


def test_missing_returns_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        intervals({"a": np.array([0.1, np.nan])}, {}, RNG(1))
