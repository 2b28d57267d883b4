"""Whether it was the timing: the same targets, moved round the calendar, on the same prices.

A moved strategy has the same exposures, about the same turnover and pays the same costs; only what it knew is of
another time. What the true one does better than nearly all of these is timing; what it does not is exposure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.backtest.bars import Bars
from models.backtest.engine import Execution
from models.backtest.metrics import LOWER_IS_BETTER, STATISTICS
from models.backtest.run import run_targets
from models.backtest.strategy import FloatTargets, Strategy
from models.backtest.tape import ScoreTape

FloatArray = NDArray[np.float64]

MIN_SHIFT_DAYS = 30
SHIFTS = 300
JUDGED = ("es99", "max_drawdown", "sharpe")


@dataclass(frozen=True, slots=True)
class Placebo:
    """`p_value`: (1 + shifts at least as good) / (1 + shifts), by figure; `median` of the shifts; `exposure`: mean of
    the shifts', which price drift makes differ a little from the strategy's. `shifts` 0 = too short to be moved."""

    shifts: int
    p_value: Mapping[str, float]
    median: Mapping[str, float]
    exposure: float


def circular_shifts(
    strategy: Strategy,
    bars: Bars,
    tape: ScoreTape,
    execution: Execution,
    judged: Sequence[str] = JUDGED,
    shifts: int = SHIFTS,
    min_shift_days: int = MIN_SHIFT_DAYS,
) -> Placebo:
    """Run a strategy with its targets moved by whole days, at least `min_shift_days` either way.

    Parameters
    ----------
    shifts : at most this many, evenly spread over all there are, so that nothing is drawn by lot.

    Notes
    -----
    p-value of a randomisation over rotations: exact where targets do not depend on prices and the joint law of the
    days does not change when they are rotated. Both runs start at the same weights.
    """
    targets = strategy.targets(bars, tape)
    bars_a_day = max(1, round(len(bars) / (int(bars.days[-1] - bars.days[0]) + 1)))
    days = len(bars) // bars_a_day
    possible = np.arange(min_shift_days, days - min_shift_days + 1)
    if not len(possible):
        return Placebo(0, dict.fromkeys(judged, float("nan")), dict.fromkeys(judged, float("nan")), float("nan"))
    picked = possible[np.unique(np.linspace(0, len(possible) - 1, min(shifts, len(possible))).round().astype(int))]
    true = _judge(strategy, bars, targets, execution, judged)[0]
    moved, exposures = [], []
    for shift in picked.tolist():
        figures, exposure = _judge(strategy, bars, _moved(targets, shift * bars_a_day), execution, judged)
        moved.append(figures)
        exposures.append(exposure)
    table = np.array(moved)
    sign = np.array([1.0 if name in LOWER_IS_BETTER else -1.0 for name in judged])
    as_good = (sign * table <= sign * true).sum(axis=0)
    p_value = (1.0 + as_good) / (1.0 + len(picked))
    median = np.median(table, axis=0)
    return Placebo(
        len(picked),
        dict(zip(judged, p_value.tolist(), strict=True)),
        dict(zip(judged, median.tolist(), strict=True)),
        float(np.mean(exposures)),
    )


def _moved(targets: FloatTargets, bars: int) -> FloatTargets:
    said = np.roll(targets.said, bars)
    # What comes round from the end is older than the beginning, so that a newer word stays one with a larger number.
    said[:bars] -= targets.said.max() - targets.said.min() + 1
    sigma_ann = targets.sigma_ann
    return FloatTargets(
        np.roll(targets.weights, bars, axis=0),
        np.roll(targets.usable, bars),
        said,
        None if sigma_ann is None else np.roll(sigma_ann, bars),
    )


def _judge(
    strategy: Strategy, bars: Bars, targets: FloatTargets, execution: Execution, judged: Sequence[str]
) -> tuple[FloatArray, float]:
    result = run_targets(strategy, bars, targets, execution)
    _, returns = result.daily_returns()
    return np.array([float(STATISTICS[name](returns)) for name in judged]), result.mean_exposure
