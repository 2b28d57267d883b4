"""The report of a comparison: every strategy on the same days, with intervals, placebo and the price of the search.

`build` only puts together what the neighbouring modules compute; `Report.to_dict()` is what a page or a file shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.backtest.comparison import InRegime, InWindow, Window, by_regime, in_windows
from models.backtest.intervals import REPETITIONS, Intervals, intervals
from models.backtest.metrics import Figures, figures
from models.backtest.placebo import Placebo
from models.backtest.plain import as_plain
from models.backtest.records import BacktestRun
from models.backtest.selection import DeflatedSharpe, Overfitting, deflated_sharpe, probability_of_overfitting

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """One strategy. `turnover_a_year`, `cost_a_year`: shares of the vault, summed over the trades; `benchmark`:
    the run it is compared with in `Report.intervals.less`."""

    name: str
    benchmark: str | None
    figures: Figures
    mean_exposure: float
    turnover_a_year: float
    cost_a_year: float
    trades: int
    failed_trades: int
    deflated_sharpe: DeflatedSharpe
    placebo: Placebo | None
    regimes: Mapping[str, InRegime]
    windows: Sequence[InWindow]


@dataclass(frozen=True, eq=False)
class Report:
    """`days` (n,) of the returns since 1970; `equity` (1 at the start) and `exposure` by strategy at the daily closes,
    n + 1 long. `trials`: how many strategies the search looked at, those shown included."""

    days: NDArray[np.int64]
    strategies: tuple[StrategyReport, ...]
    intervals: Intervals
    overfitting: Overfitting
    trials: int
    equity: Mapping[str, FloatArray]
    exposure: Mapping[str, FloatArray]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; NaN is None."""
        out: dict[str, Any] = as_plain(self)
        return out | {"days": [str(np.datetime64(int(day), "D")) for day in self.days]}


def build(
    runs: Mapping[str, BacktestRun],
    benchmarks: Mapping[str, str],
    rng: np.random.Generator,
    placebos: Mapping[str, Placebo] | None = None,
    labels: Mapping[int, str] | None = None,
    windows: Sequence[Window] = (),
    other_trials: FloatArray | None = None,
    repetitions: int = REPETITIONS,
) -> Report:
    """Put runs on the same bars beside each other.

    Parameters
    ----------
    runs : name -> run.
    benchmarks : name -> name of the run it is held against.
    rng : of the bootstrap.
    labels : regime of each day, as in `by_regime`.
    other_trials : (n, m) daily returns of what was tried and is not shown, on the same days.
    repetitions : resamples behind the intervals.

    Raises
    ------
    ValueError
        If the runs are not of the same days.
    """
    courses = {name: run.daily_returns() for name, run in runs.items()}
    days = next(iter(courses.values()))[0]
    if any(not np.array_equal(own, days) for own, _ in courses.values()):
        raise ValueError("runs must be of the same days to be compared")
    returns = {name: course for name, (_, course) in courses.items()}
    tried = np.column_stack(list(returns.values()))
    if other_trials is not None:
        tried = np.column_stack([tried, other_trials])
    deviation = tried.std(axis=0, ddof=1)
    sharpes = np.divide(tried.mean(axis=0), deviation, out=np.zeros(tried.shape[1]), where=deviation > 0)
    return Report(
        days,
        tuple(
            _strategy(name, run, benchmarks.get(name), sharpes, (placebos or {}).get(name), labels, windows)
            for name, run in runs.items()
        ),
        intervals(returns, benchmarks, rng, repetitions=repetitions),
        probability_of_overfitting(tried),
        tried.shape[1],
        {name: run.daily()[1] / run.daily()[1][0] for name, run in runs.items()},
        {name: _daily_exposure(run) for name, run in runs.items()},
    )


def _strategy(
    name: str,
    run: BacktestRun,
    benchmark: str | None,
    sharpes: FloatArray,
    placebo: Placebo | None,
    labels: Mapping[int, str] | None,
    windows: Sequence[Window],
) -> StrategyReport:
    _, returns = run.daily_returns()
    done = sum(trade.fill_share > 0 for trade in run.trades)
    return StrategyReport(
        name,
        benchmark,
        figures(returns),
        run.mean_exposure,
        run.turnover / run.years,
        sum(trade.cost_usd / float(run.equity_usd[trade.bar - 1]) for trade in run.trades) / run.years,
        done,
        len(run.trades) - done,
        deflated_sharpe(returns, sharpes),
        placebo,
        by_regime(run, labels) if labels else {},
        in_windows(run, windows),
    )


def _daily_exposure(run: BacktestRun) -> FloatArray:
    last = np.flatnonzero(np.append(np.diff(run.days) > 0, True))
    return run.exposure[last]
