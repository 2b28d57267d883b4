"""How long a backtest takes, beside engines that others use, on a strategy that all of them can express.

The strategy is the on/off policy of one coin on a made-up score of simulated hours. An engine that is not installed is
left out; one that does not end with the same equity at every bar has run something else, and nothing is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from models.backtest.bars import Bars, moment
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.records import BacktestRun
from models.backtest.run import run, run_fast
from models.backtest.score_strategies import ScorePolicy
from models.backtest.tape import ScoreTape
from models.contracts.market import DataMode
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import PolicyName, VaultAsset, VaultConfig, VaultLimits
from orchestration.bench.backtest_peers import (
    PEERS,
    Course,
    FloatArray,
    Rule,
    missing,
    version_of,
    with_vectorbt_at_once,
)
from orchestration.bench.document import Unmeasured
from orchestration.bench.figures import best, figure, ratio
from orchestration.bench.stress import closes

SAME = 1e-6  # of the equity: backtesting.py trades whole hundred-millionths of a coin
RULE = Rule(leave=80.0, enter=70.0, fee=0.001, capital=1_000_000.0)
FAST_HALF_LIFE_H, RANKED_H = 24, 720
START = np.datetime64("2020-01-01T00:00:00", "us")
NO_LIMITS = VaultLimits(dead_zone=Decimal(0), max_step=Decimal(1), max_turnover_day=Decimal(24), cooldown_s=0)
VAULT = VaultConfig(
    "coin",
    "devnet",
    None,
    (VaultAsset("USDC", None, Decimal(0), stable=True), VaultAsset("BTC", "BTC", Decimal(1))),
    NO_LIMITS,
    PolicyName.ON_OFF,
)


@dataclass(frozen=True, slots=True)
class FromDollars(ScorePolicy):
    """The live policy on a vault that starts in dollars, as the others do."""

    @property
    def start(self) -> Mapping[str, Decimal]:
        return {"USDC": Decimal(1), "BTC": Decimal(0)}


def course_of(seed: int, hours: int) -> Course:
    """Closes of a simulated coin; score: rank of its fast volatility among that of the last 30 days, in percent."""
    prices = closes(seed, hours)
    variance = pd.Series(np.diff(np.log(prices), prepend=np.log(prices[0])) ** 2).ewm(halflife=FAST_HALF_LIFE_H).mean()
    scores = 100.0 * variance.rolling(RANKED_H, min_periods=1).rank(pct=True).to_numpy()
    scores[:2] = 75.0  # backtesting.py sees the second bar first: nobody acts before
    return Course(START + np.arange(hours) * np.timedelta64(1, "h"), prices, scores)


def tape_of(course: Course) -> ScoreTape:
    """The scores as the pipeline would have issued them, each at its close."""
    return ScoreTape(
        [_score(at, value) for at, value in zip(course.times.astype(np.int64).tolist(), course.scores, strict=True)]
    )


def with_ours(course: Course, tape: ScoreTape, rule: Rule, engine: Callable[..., BacktestRun]) -> BacktestRun:
    """The same rule through `run` or `run_fast`."""
    limits = replace(NO_LIMITS, enter_score=rule.leave, leave_score=rule.enter)  # the policy enters the stable leg
    costs = Costs(half_spread_bps=1e4 * rule.fee, slippage_bps=0.0)
    bars = Bars(("USDC", "BTC"), course.times, np.column_stack([np.ones(len(course.closes)), course.closes]))
    execution = Execution(costs, latency_bars=1, capital_usd=Decimal(repr(rule.capital)))
    return engine(FromDollars(replace(VAULT, limits=limits)), bars, tape, execution)


def measure(seed: int, hours: int, rules: int, repeats: int) -> dict[str, Any]:
    """Time of one run by each engine and of a search over `rules` thresholds; how far the equity curves are apart.

    Raises Unmeasured where one is further from ours than rounding explains.
    """
    course = course_of(seed, hours)
    began = time.perf_counter()
    tape = tape_of(course)
    prepared = time.perf_counter() - began
    ours = with_ours(course, tape, RULE, run_fast)
    there = {name: work for name, (package, work) in PEERS.items() if version_of(package)}
    apart = {name: _apart(name, work(course, RULE), ours.equity_usd) for name, work in there.items()}
    exact, exact_s = _timed(lambda: with_ours(course, tape, RULE, run).equity_usd)
    apart["exact_engine"] = _apart("the exact engine", exact, ours.equity_usd)

    spent: dict[str, list[float]] = {name: [] for name in ("run_fast", *there)}
    for _ in range(repeats):
        spent["run_fast"].append(_timed(lambda: with_ours(course, tape, RULE, run_fast).equity_usd)[1])
        for name, work in there.items():
            spent[name].append(_timed(partial(work, course, RULE))[1])
    fastest = {name: min(seconds) for name, seconds in spent.items()}
    return {
        "how": f"{hours} hours of one simulated coin; all in below a score of {RULE.enter:.0f}, all out above "
        f"{RULE.leave:.0f}, filled an hour later, {RULE.fee:.1%} a trade. From arrays to the equity curve, wall time; "
        "the scores of run_fast and the exact engine are on a tape already",
        "trades": figure(len(ours.trades), "trades"),
        "run_fast": best([1000 * s for s in spent["run_fast"]], "ms"),
        "exact_engine": figure(1000 * exact_s, "ms"),
        "scores_and_their_tape": figure(1000 * prepared, "ms"),
        **{name: _peer(name, spent.get(name), apart.get(name), fastest["run_fast"]) for name in PEERS},
        "exact_engine_apart": figure(apart["exact_engine"], "share of the equity, largest"),
        "search": _search(course, tape, rules, max(1, repeats // 5)),
    }


def _peer(name: str, seconds: list[float] | None, apart: float | None, ours: float) -> dict[str, Any]:
    package = PEERS[name][0]
    if seconds is None or apart is None:
        return missing(package)
    return {
        "version": version_of(package),
        "time": best([1000 * s for s in seconds], "ms"),
        "time_to_run_fast": ratio(min(seconds), ours),
        "equity_apart": figure(apart, "share of the equity, largest"),
    }


def _search(course: Course, tape: ScoreTape, count: int, repeats: int) -> dict[str, Any]:
    """Many thresholds: ours one run after the other, vectorbt all of them as columns of one run."""
    rules = [replace(RULE, leave=leave, enter=leave - 10.0) for leave in np.linspace(60.0, 95.0, count).tolist()]

    def ours() -> FloatArray:
        return np.column_stack([with_ours(course, tape, rule, run_fast).equity_usd for rule in rules])

    spent: dict[str, list[float]] = {"run_fast": []}
    if version_of("vectorbt"):
        _apart("vectorbt", with_vectorbt_at_once(course, rules), ours())
        spent["vectorbt"] = []
    for _ in range(repeats):
        spent["run_fast"].append(_timed(ours)[1])
        if "vectorbt" in spent:
            spent["vectorbt"].append(_timed(lambda: with_vectorbt_at_once(course, rules))[1])
    found: dict[str, Any] = {"how": f"{count} pairs of thresholds", "run_fast": best(spent["run_fast"], "s")}
    if "vectorbt" not in spent:
        return {**found, "vectorbt": missing("vectorbt")}
    return {
        **found,
        "vectorbt": best(spent["vectorbt"], "s"),
        "vectorbt_to_run_fast": ratio(min(spent["vectorbt"]), min(spent["run_fast"])),
    }


def _apart(name: str, equity: FloatArray, ours: FloatArray) -> float:
    apart = float(np.abs(equity / ours - 1.0).max())
    if not apart < SAME:
        raise Unmeasured(f"{name} ends up to {apart:.2g} of the equity away from run_fast: they ran different things")
    return apart


def _timed(work: Callable[[], FloatArray]) -> tuple[FloatArray, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def _score(time_us: int, value: float) -> Score:
    at = moment(time_us)
    return Score(
        "vault:coin", 1, at, at, at + timedelta(hours=2), ScoreStatus.OK, (), value, 0.1, 1e-4, 0.5, 0.02, 0.03,
        "har", "1", DataMode.SIMULATED, 0.0, 0.0,
    )  # fmt: skip
