"""What a strategy is held against, and how both did in parts of their time.

A rule that sells has less risk because it holds less. The honest comparison is a constant mix that holds as much on
average: what is left of the difference is timing, and its price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from models.backtest.bars import Bars
from models.backtest.engine import Execution
from models.backtest.metrics import es99, max_drawdown, sharpe, volatility
from models.backtest.mixes import at_exposure
from models.backtest.plain_strategies import ConstantMix
from models.backtest.records import BacktestRun
from models.backtest.run import run_fast
from models.contracts.score import ScoreStatus
from models.contracts.vault import VaultConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EXPOSURE_TOLERANCE = 1e-4
PASSES = 6
MIN_DAYS_A_REGIME = 60
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class InRegime:
    """Figures of the days with one label. Below `required` days only the count: status `insufficient_data`.
    `sum_of_returns` is what the regime added; `volatility` and `sharpe` annualised; `es99` of these days."""

    status: ScoreStatus
    required: int
    days: int
    exposure: float = float("nan")
    sum_of_returns: float = float("nan")
    volatility: float = float("nan")
    sharpe: float = float("nan")
    es99: float = float("nan")


@dataclass(frozen=True, slots=True)
class Window:
    """A named stretch of time, both days included."""

    name: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class InWindow:
    """What a strategy did in a window: simple return over it, largest drawdown and worst day inside it, mean exposure.
    `days` 0 = the run does not reach it."""

    name: str
    days: int
    total_return: float = float("nan")
    max_drawdown: float = float("nan")
    worst_day: float = float("nan")
    exposure: float = float("nan")


def equal_exposure_mix(result: BacktestRun, vault: VaultConfig, bars: Bars, execution: Execution) -> BacktestRun:
    """Constant mix of the base weights with the mean exposure of a run, under the same limits and costs.

    Two passes: the run gives the exposure, the mix holds it. Prices carry a mix away from its weights inside the dead
    zone, so its aim is corrected until its mean exposure agrees within 1e-4, or six times.
    """
    wanted = aim = result.mean_exposure
    for _ in range(PASSES):
        mix = run_fast(ConstantMix(vault, at_exposure(vault, aim)), bars, (), execution)
        missing = wanted - mix.mean_exposure
        if abs(missing) < EXPOSURE_TOLERANCE:
            break
        aim = float(np.clip(aim + missing, 0.0, 1.0))
    return mix


def by_regime(result: BacktestRun, labels: Mapping[int, str], required: int = MIN_DAYS_A_REGIME) -> dict[str, InRegime]:
    """Figures by the label of each day.

    Parameters
    ----------
    labels : day (since 1970) -> label that was known when it began; days without one are left out. A label made at
        the close of a day belongs to the next one.
    """
    days, returns = result.daily_returns()
    exposure = _exposure_into(result)
    named = np.array([labels.get(int(day), "") for day in days])
    out = {}
    for label in sorted(set(named.tolist()) - {""}):
        own = named == label
        count = int(own.sum())
        if count < required:
            out[label] = InRegime(ScoreStatus.INSUFFICIENT_DATA, required, count)
            continue
        part = returns[own]
        out[label] = InRegime(
            ScoreStatus.OK,
            required,
            count,
            float(exposure[own].mean()),
            float(part.sum()),
            float(volatility(part)),
            float(sharpe(part)),
            float(es99(part)),
        )
    return out


def in_windows(result: BacktestRun, windows: Sequence[Window]) -> list[InWindow]:
    """Figures of a run in each of `windows`, in their order."""
    days, returns = result.daily_returns()
    exposure = _exposure_into(result)
    out = []
    for window in windows:
        first, last = ((day - EPOCH).days for day in (window.first, window.last))
        own = (days >= first) & (days <= last)
        part = returns[own]
        if not len(part):
            out.append(InWindow(window.name, 0))
            continue
        out.append(
            InWindow(
                window.name,
                len(part),
                float(np.prod(1.0 + part) - 1.0),
                float(max_drawdown(part)),
                float(part.min()),
                float(exposure[own].mean()),
            )
        )
    return out


def _exposure_into(result: BacktestRun) -> FloatArray:
    """(m - 1,) exposure at the close before each daily return: what the return was earned with, as far as no trade
    came in between."""
    last = np.flatnonzero(np.append(np.diff(result.days) > 0, True))
    return result.exposure[last][:-1]
