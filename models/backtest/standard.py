"""The backtest that everybody gets: policies of a vault, their mixes of equal exposure, benchmarks, placebo, report.

One function for the API, the command line and the job. Everything runs on the fast engine, which a test holds to the
exact one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from models.backtest.bars import DAY_US, Bars, microseconds
from models.backtest.comparison import Window, equal_exposure_mix
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.market import VaultMarket, bars_of, usable_days
from models.backtest.metrics import STATISTICS
from models.backtest.mixes import equal_risky
from models.backtest.placebo import circular_shifts
from models.backtest.plain import as_plain
from models.backtest.plain_strategies import ConstantMix, Hold, Rebalanced, inverse_volatility
from models.backtest.records import BacktestRun
from models.backtest.report import build
from models.backtest.request import EQUAL_WEIGHT, HOLD, INVERSE_VOLATILITY, Inputs, inputs_of
from models.backtest.run import run_fast
from models.backtest.score_strategies import ScorePolicy
from models.backtest.strategy import Strategy
from models.backtest.sufficiency import EPOCH, Shortage, Span, find_span
from models.backtest.surroundings import regimes, windows_within
from models.backtest.tape import ScoreTape
from models.contracts.runs import RunKind, ScoreSource
from models.contracts.score import Score
from models.runs.bounds import MOST
from models.runs.identity import digest_of_arrays
from models.runs.plan import NotEnough, Outcome, Plan, RequestError, Watch

LOOKBACK_DAYS = 30  # of inverse volatility, which looks again each week
REBALANCED_DAYS = 7
MIX = "_mix"  # after the name of a policy: constant mix of the same mean exposure
MAX_TRADES = 500  # that are kept of one strategy; the summary has the number of all


class MarketData(VaultMarket, Protocol):
    """What a backtest reads of a market (`models.runs.reading`)."""

    def scores(self, vault_id: str, source: ScoreSource) -> Sequence[Score]: ...

    def events(self) -> Sequence[Window]: ...


@dataclass(frozen=True, eq=False)
class _Question:
    inputs: Inputs
    span: Span
    bars: Bars
    tape: ScoreTape
    regimes: Mapping[int, str]
    events: Sequence[Window]


def plan(body: object, data: MarketData) -> Plan:
    """The run that a request asks for.

    Raises
    ------
    RequestError
        A field is not valid, or the run is larger than anything allows.
    NotEnough
        The data do not answer the question; the message says which one they answer.
    """
    return plan_of(inputs_of(body, data.vaults()), data)


def replan(stored: Mapping[str, Any], data: MarketData) -> Plan:
    """The run of stored inputs on the data of now. Raises as `plan`."""
    return plan_of(Inputs.of_dict(stored), data)


def plan_of(inputs: Inputs, data: MarketData) -> Plan:
    """The run of given inputs on the data of now; days that were left open are filled in. Raises as `plan`."""
    vault = inputs.vault
    bars = bars_of(vault, inputs.terms, data.closes(sorted(inputs.terms)))
    scores = data.scores(vault.id, inputs.scores)
    span = _span(inputs, bars, scores)
    assert bars is not None  # without bars there is a shortage
    first, last = ((day - EPOCH).days * DAY_US for day in (span.lookback_from, span.end))
    days = range((span.start - EPOCH).days, (span.end - EPOCH).days + 1)
    told = regimes(bars, vault)
    known_regimes = {day: told[day] for day in days if day in told}
    events = windows_within(data.events(), span.start, span.end)
    # From the close that ends the day before the lookback's second day, as the base of its first return.
    start, stop = np.searchsorted(bars.times_us, [first + DAY_US, last + DAY_US + 1])
    bars = bars.cut(int(start), int(stop))
    ends_us = int(bars.times_us[-1])
    tape = ScoreTape([s for s in scores if microseconds(max(s.issued_at, s.as_of)) <= ends_us])
    inputs = replace(inputs, start=span.start, end=span.end)
    question = _Question(inputs, span, bars, tape, known_regimes, events)
    work = _work(question)
    if work > MOST:
        raise RequestError(
            "placebo_shifts", f"this run is {work / MOST:.1f} times as large as the largest: ask fewer shifts or days"
        )
    return Plan(RunKind.BACKTEST, inputs.to_dict(), _data_hash(question), inputs.seed, work, partial(_run, question))


def _span(inputs: Inputs, bars: Bars | None, scores: Sequence[Score]) -> Span:
    known = [microseconds(max(score.issued_at, score.as_of)) for score in scores]
    lookback = LOOKBACK_DAYS + 1 if INVERSE_VOLATILITY in inputs.benchmarks else 1
    days = usable_days(bars) if bars is not None else np.array([], dtype=np.int64)
    first_score = min(known) // DAY_US if known else None
    found = find_span(days, first_score, lookback, inputs.start, inputs.end)
    if isinstance(found, Span):
        return found
    raise NotEnough(found.field, _way_out(found), found)


def _way_out(short: Shortage) -> str:
    if short.way_out is not None:
        way = short.way_out
    elif short.sufficient_on is not None:
        way = f"ask again on {short.sufficient_on}, or for the other source of scores"
    else:
        way = "this vault has no scores yet: let the training run once, or ask for the other source of scores"
    return f"{short.reason}; {way}"


def _strategies(question: _Question) -> dict[str, Strategy]:
    vault, bars = question.inputs.vault, question.bars
    bars_a_day = max(1, round(DAY_US / int(np.diff(bars.times_us).min())))
    known: dict[str, Strategy] = {
        HOLD: Hold(vault),
        EQUAL_WEIGHT: ConstantMix(vault, equal_risky(vault), EQUAL_WEIGHT),
        INVERSE_VOLATILITY: Rebalanced(
            vault, inverse_volatility, LOOKBACK_DAYS * bars_a_day, REBALANCED_DAYS * bars_a_day, INVERSE_VOLATILITY
        ),
    }
    policies = {policy.value: ScorePolicy(replace(vault, policy=policy)) for policy in question.inputs.policies}
    return {**policies, **{name: known[name] for name in question.inputs.benchmarks}}


def _run(question: _Question, watch: Watch) -> Outcome:
    inputs, span, tape = question.inputs, question.span, question.tape
    execution = Execution(Costs(inputs.half_spread_bps, inputs.slippage_bps), inputs.latency_bars)
    base = _base(question)
    runs: dict[str, BacktestRun] = {}
    placebos = {}
    strategies = _strategies(question)
    for n, (name, strategy) in enumerate(strategies.items()):
        watch(n / (len(strategies) + 1))  # the report is as long as a strategy
        # Only a strategy that looks back starts before the days that count.
        bars = question.bars if name == INVERSE_VOLATILITY else base
        runs[name] = run_fast(strategy, bars, tape, execution)
        if isinstance(strategy, ScorePolicy):
            runs[name + MIX] = equal_exposure_mix(runs[name], strategy.vault, base, execution)
            if inputs.placebo_shifts:
                placebos[name] = circular_shifts(strategy, base, tape, execution, shifts=inputs.placebo_shifts)
    watch(len(strategies) / (len(strategies) + 1))
    first, last = ((day - EPOCH).days for day in (span.start, span.end))
    runs = {name: run.between(first, last) for name, run in runs.items()}
    benchmarks = {policy.value: policy.value + MIX for policy in inputs.policies}
    rng = np.random.default_rng(inputs.seed)
    report = build(
        runs,
        benchmarks,
        rng,
        placebos,
        question.regimes,
        question.events,
        repetitions=inputs.bootstrap_repetitions,
    ).to_dict()
    curve = {name: report.pop(name) for name in ("days", "equity", "exposure")}
    return Outcome({"span": as_plain(span), **report}, curve, {name: _trades(run) for name, run in runs.items()})


def _base(question: _Question) -> Bars:
    """Bars from the close before the first day that counts."""
    bars, start_us = question.bars, (question.span.start - EPOCH).days * DAY_US
    days = usable_days(bars)
    before = int(days[np.searchsorted(days, start_us // DAY_US) - 1])
    return bars.cut(int(np.searchsorted(bars.times_us, (before + 1) * DAY_US)), len(bars))


def _trades(run: BacktestRun) -> list[dict[str, Any]]:
    """The newest of the trades, in order."""
    return [
        {
            "decided_at": as_plain(run.close_at[max(trade.decided_bar, 0)]),
            "filled_at": as_plain(run.close_at[trade.bar]),
            **{name: as_plain(getattr(trade, name)) for name in ("planned", "turnover", "notional_usd", "cost_usd")},
            "fill_share": trade.fill_share,
        }
        for trade in run.trades[-MAX_TRADES:]
    ]


def _work(question: _Question) -> int:
    """Legs times bars times courses, and the bootstrap by the figures it draws."""
    inputs, bars = question.inputs, question.bars
    courses = len(inputs.benchmarks) + len(inputs.policies) * (8 + inputs.placebo_shifts)
    shown = len(inputs.benchmarks) + 2 * len(inputs.policies)
    drawn = inputs.bootstrap_repetitions * question.span.days * shown * len(STATISTICS)
    return bars.prices.size * courses + drawn


def _data_hash(question: _Question) -> str:
    bars, tape, events = question.bars, question.tape, question.events
    return digest_of_arrays(
        times=bars.times_us, prices=bars.prices, known=tape.known_us, as_of=tape.as_of_us,
        valid_until=tape.valid_until_us, value=tape.value, sigma_ann=tape.sigma_ann, sound=tape.sound,
        share_imputed=tape.share_imputed, days=np.array(list(question.regimes), dtype=np.int64),
        regimes=np.array(list(question.regimes.values()), dtype="S8"),
        events=np.array([f"{e.name} {e.first} {e.last}" for e in events], dtype="S80"),
    )  # fmt: skip
