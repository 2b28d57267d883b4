"""The simulation that everybody gets: a kept vault on drawn paths, with its shocks, its figures and a check of the
generator. One function for the API, the command line and the job, as `models.backtest.standard` is for backtests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
from numba import config
from numpy.typing import NDArray

from models.backtest.bars import DAY_US, Bars
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.market import VaultMarket, bars_of, usable_days
from models.backtest.plain import as_plain
from models.backtest.sufficiency import EPOCH, Shortage, Span, find_span
from models.contracts.market import DataMode
from models.contracts.running import Runner
from models.contracts.runs import RunKind
from models.runs.bounds import MOST
from models.runs.identity import digest_of_arrays
from models.runs.plan import NotEnough, Outcome, Plan, RequestError, Watch
from models.stress.bands import PERCENTS
from models.stress.block_weights import MOST_MOMENTS
from models.stress.conditions import Conditions
from models.stress.facts import check_facts
from models.stress.fitting import WEIGHTED, generator_of
from models.stress.generator import PathGenerator
from models.stress.legs import DAYS_PER_YEAR, LegKind, Market, daily_sigmas, legs_named
from models.stress.marginal import MarginalEffects, marginal_effects
from models.stress.path_score import PathScore, fit_path_score
from models.stress.regime_generator import MIN_ROWS as REGIME_ROWS
from models.stress.request import EVERYWHERE, REGIMES, Inputs, inputs_of
from models.stress.results import VaultResult, result_of
from models.stress.scenario_library import scenario_named
from models.stress.scenarios import Replay, replay
from models.stress.setup import Leverage, Setup
from models.stress.shock_kernels import Program
from models.stress.shock_program import conditions_of
from models.stress.shocks import program_of
from models.stress.simulation import Control, Inject, simulate_vault

FloatArray = NDArray[np.float64]

SAMPLE_DAYS = 1_500  # as many as the generators were tried with (docs/stress.md)
MIN_SAMPLE_DAYS = 302  # 50 to warm the score up, 250 outcomes, one day ahead, one return before
MOST_THREADS = 8
FITS = 4  # that a process keeps, some 5 MB each
# In units of `models.runs.bounds`, 20 ns of one core: fitting and checking a generator; a step of a path, all three
# courses of it, and each leg of it; an effect of a shock on a step; where blocks are looked for by their weights, more
# a step, as if all of them were as short as they can be, and a row at a moment of a path.
_FIXED_UNITS, _STEP_UNITS, _LEG_UNITS, _EFFECT_UNITS, _SEARCH_UNITS, _WEIGHT_UNITS = 8_000_000, 6, 2, 2, 6, 1


class MarketData(VaultMarket, Protocol):
    """What a simulation reads of a market (`models.runs.reading`)."""

    def mode(self) -> DataMode: ...


@dataclass(frozen=True, eq=False)
class _Question:
    """`returns` (n, legs) a step: NaN where a price is missing, 0 of a leg without a series. `replay`: of the scenario,
    None without one."""

    inputs: Inputs
    span: Span
    returns: FloatArray
    market: Market
    replay: Replay | None

    @property
    def moving(self) -> list[int]:
        """Legs whose returns are drawn."""
        return [i for i, asset in enumerate(self.inputs.vault.assets) if asset.series is not None]


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
    bars = bars_of(inputs.vault, inputs.terms, data.closes(sorted(inputs.terms)))
    inputs, span = _with_days(inputs, bars)
    assert bars is not None  # without bars there is a shortage
    bars = _sample(bars, span, inputs.steps_per_day)
    returns = np.diff(np.log(bars.prices), axis=0)
    _check_sample(inputs, bars.symbols, returns)
    question = _question(inputs, span, bars, returns, data.mode() is not DataMode.SIMULATED)
    work = _work(question)
    if work > MOST:
        raise RequestError(
            "paths", f"this run is {work / MOST:.2f} times as large as the largest: ask fewer paths, days or shocks"
        )
    recorded = question.replay.recorded if question.replay is not None else None
    data_hash = digest_of_arrays(
        times=bars.times_us, prices=bars.prices, recorded=np.empty(0) if recorded is None else recorded
    )
    run = partial(_run, question)
    return Plan(RunKind.SIMULATION, inputs.to_dict(), data_hash, inputs.seed, work, run, run)


def _with_days(inputs: Inputs, bars: Bars | None) -> tuple[Inputs, Span]:
    days = usable_days(bars) if bars is not None else np.array([], dtype=np.int64)
    start, end = inputs.start, inputs.end
    if start is None and len(days) > 1:
        last = int(days[-1]) if end is None else (end - EPOCH).days
        start = EPOCH + timedelta(days=max(last - SAMPLE_DAYS + 1, int(days[1])))
    required = REGIME_ROWS if inputs.generator == REGIMES else MIN_SAMPLE_DAYS
    found = find_span(days, int(days[0]) if len(days) else None, 1, start, end, required)
    if isinstance(found, Shortage):
        reason = f"{required} days with a price of every leg, and one before them, are needed to draw paths from"
        short = replace(found, reason=f"{reason}; {found.received} are there")
        way = short.way_out or (f"ask again on {short.sufficient_on}" if short.sufficient_on else "let the market run")
        raise NotEnough(short.field, f"{short.reason}; {way}", short)
    return replace(inputs, start=found.start, end=found.end), found


def _sample(bars: Bars, span: Span, steps_per_day: int) -> Bars:
    """Closes of the span, one a step, from the close before its first day."""
    if steps_per_day == 1 and len(bars):
        midnight = np.flatnonzero(bars.times_us % DAY_US == 0)
        bars = Bars(bars.symbols, bars.close_at[midnight], bars.prices[midnight])
    first, last = ((day - EPOCH).days * DAY_US for day in (span.start, span.end))
    start, stop = np.searchsorted(bars.times_us, [first, last + DAY_US + 1])
    return bars.cut(int(start), int(stop))


def _check_sample(inputs: Inputs, symbols: Sequence[str], returns: FloatArray) -> None:
    known = returns[np.isfinite(returns).all(axis=1)]
    for i, asset in enumerate(inputs.vault.assets):
        if asset.series is not None and not known[:, i].any():
            raise RequestError("start", f"{symbols[i]} never moves from {inputs.start} to {inputs.end}: ask other days")


def _question(inputs: Inputs, span: Span, bars: Bars, returns: FloatArray, is_recorded: bool) -> _Question:
    per_year = DAYS_PER_YEAR * inputs.steps_per_day
    sigmas = daily_sigmas(returns, per_year)
    market = Market(legs_named(bars.symbols, kinds_of(inputs), sigmas.tolist()), per_year)
    found = None
    if inputs.scenario is not None:
        began = bars.times_us[:-1].astype("datetime64[us]")
        sample = (returns, began) if is_recorded else (None, None)
        found = replay(
            scenario_named(inputs.scenario), market, sample[0], sample[1], inputs.scenario_reach == EVERYWHERE
        )
    return _Question(inputs, span, returns, market, found)


def kinds_of(inputs: Inputs) -> list[LegKind]:
    """What each leg is to shocks: priced by a rate of the day, a country's money; by hours, a coin."""

    def kind(series: str | None, is_stable: bool) -> LegKind:
        if series is None or is_stable:
            return LegKind.STABLE
        return LegKind.FX if inputs.terms[series].interval_s > 3_600 else LegKind.COIN

    return [kind(asset.series, asset.stable) for asset in inputs.vault.assets]


@dataclass(frozen=True)
class _Sample:
    """Returns that are drawn (n, moving legs) and those of the base weights (n,), told apart by their digest."""

    digest: str
    returns: FloatArray = field(compare=False)
    at_base: FloatArray = field(compare=False)


@lru_cache(maxsize=FITS)
def fitted(sample: _Sample, generator: str, steps_per_day: int) -> tuple[PathGenerator, PathScore]:
    """Generator and score of a sample; the next questions about the same days find them."""
    return generator_of(generator, sample.returns, steps_per_day), fit_path_score(sample.at_base, steps_per_day)


def _setup(question: _Question) -> Setup:
    inputs, vault, returns = question.inputs, question.inputs.vault, question.returns
    moving = question.moving
    weights = np.array([float(asset.base_weight) for asset in vault.assets])
    at_base = np.log1p(np.expm1(returns) @ weights)
    sample = _Sample(digest_of_arrays(returns=returns[:, moving], at_base=at_base), returns[:, moving], at_base)
    try:
        generator, score = fitted(sample, inputs.generator, inputs.steps_per_day)
    except ValueError as error:
        raise RequestError("start", f"these days cannot be drawn from ({error}); ask for more or other ones") from error
    return Setup(
        vault=vault,
        generator=generator,
        columns={vault.assets[leg].symbol: column for column, leg in enumerate(moving)},
        score=score,
        steps=inputs.steps,
        steps_per_day=inputs.steps_per_day,
        execution=Execution(Costs(inputs.half_spread_bps, inputs.slippage_bps), inputs.latency_steps),
        leverage=None if inputs.leverage is None else Leverage(inputs.leverage, inputs.maintenance),
        ruin_loss=inputs.ruin_loss,
    )


def _injections(question: _Question) -> dict[str, Inject]:
    inputs, market, steps = question.inputs, question.market, question.inputs.steps
    found: dict[str, Inject] = {}
    for name, shock in inputs.shocks.items():
        program = program_of([shock], market, inputs.seed)
        if len(program.key):  # else it strikes no leg of this vault
            found[name] = partial(_struck, program, steps)
    met = question.replay
    if met is not None:
        at_step = inputs.scenario_day * inputs.steps_per_day
        found[met.scenario.name] = partial(_met, met, steps, at_step)
    return found


def _struck(program: Program, steps: int, first: int, paths: int) -> Conditions:
    return conditions_of(program, paths, steps, first)


def _met(scenario: Replay, steps: int, at_step: int, first: int, paths: int) -> Conditions:
    return scenario.conditions(paths, steps, at_step)


def _run(question: _Question, watch: Watch, runner: Runner | None = None) -> Outcome:
    inputs, setup, injections = question.inputs, _setup(question), _injections(question)
    cores = int(config.NUMBA_DEFAULT_NUM_THREADS)  # type: ignore[attr-defined]
    threads = min(cores, MOST_THREADS)
    control = Control(threads=threads, progress=lambda share: watch(0.95 * share), runner=runner)
    effects: MarginalEffects | None = None
    moving = question.moving
    names = tuple(setup.symbols[leg] for leg in moving)
    with ThreadPoolExecutor(1) as beside:
        checking = beside.submit(check_facts, setup.generator, question.returns[:, moving], names, inputs.seed)
        if injections:
            effects = marginal_effects(setup, inputs.paths, inputs.seed, injections, control)
            result = effects.all.result
        else:
            result = result_of(setup, simulate_vault(setup, inputs.paths, inputs.seed, control=control), threads)
        watch(0.95)
        check = checking.result()
    summary = {
        "sample": as_plain(question.span),
        "steps": inputs.steps,
        "strategies": [{"name": name, "figures": as_plain(own)} for name, own in result.figures.items()],
        "policy_less": as_plain(result.policy_less),
        "mix_weights": as_plain(result.mix_weights),
        "shocks": None if effects is None else _effects(effects, inputs),
        "scenario": None if question.replay is None else _scenario(question.replay, inputs),
        "generator_check": as_plain(check),
    }
    return Outcome(summary, _curve(result, inputs))


def _effects(effects: MarginalEffects, inputs: Inputs) -> dict[str, Any]:
    """What shocks change: figures with less figures without, of all and of each alone; `nothing`: those that strike no
    leg."""
    return {
        "calm": as_plain(effects.calm.figures),
        "all": as_plain(effects.all.effect),
        "alone": {name: as_plain(one.effect) for name, one in effects.alone.items()},
        "nothing": [name for name in inputs.shocks if name not in effects.alone],
    }


def _scenario(met: Replay, inputs: Inputs) -> dict[str, Any]:
    return {
        "name": met.scenario.name,
        "form": met.form,
        "reason": met.reason,
        "struck": list(met.scenario.struck(met.market, inputs.scenario_reach == EVERYWHERE)),
    }


def _curve(result: VaultResult, inputs: Inputs) -> dict[str, Any]:
    bands = {name: own for name, own in result.bands.items() if own is not None}
    steps = next(iter(bands.values())).steps
    shown = ("paths", "pointwise", "standard_error", "low", "high", "inside")
    return {
        "days": as_plain(steps / inputs.steps_per_day),
        "percents": list(PERCENTS),
        "bands": {name: {each: as_plain(getattr(own, each)) for each in shown} for name, own in bands.items()},
        "drawdown_edges": as_plain(result.drawdown_edges),
        "drawdown_counts": as_plain(result.drawdown_counts),
    }


def _work(question: _Question) -> int:
    """Steps of all paths by what one costs, for each run that the effects of shocks take."""
    inputs, market, legs = question.inputs, question.market, len(question.inputs.vault.assets)
    injections = len(inputs.shocks) + (inputs.scenario is not None)
    runs = 1 + injections + (injections > 1)
    a_step, weights = _STEP_UNITS + _LEG_UNITS * legs, 0
    if inputs.generator in WEIGHTED:
        a_step += _SEARCH_UNITS
        weights = 2 * _WEIGHT_UNITS * len(question.returns) * MOST_MOMENTS  # for the paths and for the check
    effects = sum(
        shock.rate_per_year * inputs.days / DAYS_PER_YEAR * sum(len(event.effects) for event in shock.events(market))
        for shock in inputs.shocks.values()
    )
    # Shocks are filled alone and once more with all others, and added up; an effect lasts to the end of the path.
    fills = 1 if injections == 1 else 3
    shocked = fills * (injections * (_STEP_UNITS + _LEG_UNITS * legs) + _EFFECT_UNITS * effects)
    return _FIXED_UNITS + weights + int(inputs.paths * inputs.steps * (a_step * runs + shocked))
