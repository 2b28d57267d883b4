"""How fast stress paths are made, beside `arch` and beside compiled kernels that only draw and add up.

One thread is timed by its own processor time, so that other programs of the machine matter less; several threads by the
clock on the wall. Ways take turns, the best of many short runs counts.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from arch.bootstrap import CircularBlockBootstrap
from numpy.typing import NDArray

from models.stress.bootstrap import BlockBootstrap, Blocks, Present, fit_bootstrap
from models.stress.generator import PathGenerator
from models.stress.market_simulator import MarketSimulator
from models.stress.regime_generator import fit_regime_generator
from orchestration.bench.bare_kernels import draw_each_block, draw_each_step, draw_each_step_by_numpy, drawdown_of
from orchestration.bench.figures import Figure, best, figure, figures, ratio

FloatArray = NDArray[np.float64]
Way = Callable[[], object]

COIN = "BTC"
STEPS = 720  # 30 days of hours
YEAR_STEPS = 8_760
LENGTH = 24
YEARS = 2  # of hours in the sample
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def hourly_returns(seed: int) -> FloatArray:
    """(n,) log returns of two years of hours of a simulated coin; an hour that is missing did not move."""
    return np.diff(np.log(closes(seed, YEARS * YEAR_STEPS + 1)))


def closes(seed: int, hours: int) -> FloatArray:
    """(hours,) closes of a simulated coin, an hour that is missing as the one before it."""
    bars = MarketSimulator(seed).hours(COIN, 0, hours)
    seen = np.maximum.accumulate(np.where(bars.present, np.arange(hours), 0))
    return np.asarray(bars.close[seen], dtype=np.float64)


def measure(seed: int, paths: int, repeats: int) -> dict[str, Any]:
    """Steps of paths a second of the generators, of bare kernels and of `arch`, and the ratios."""
    returns = hourly_returns(seed)
    ours = generators(returns)
    shown = np.empty((paths, 2))
    wrapped = np.concatenate([returns, returns[:LENGTH]])
    ways: dict[str, Way] = {name: _statistics(generator, paths, seed) for name, generator in ours.items()}
    ways |= {
        "bare_draw_each_step": lambda: draw_each_step(returns, STEPS, seed, shown),
        "bare_draw_each_step_by_numpy": lambda: draw_each_step_by_numpy(returns, STEPS, seed, shown),
        "bare_draw_each_block": lambda: draw_each_block(wrapped, LENGTH, STEPS, seed, shown),
    }
    rates = _rates(ways, paths * STEPS, repeats)
    return {
        "how": f"{paths} paths of {STEPS} hours; sample: {len(returns)} hours of a simulated coin; blocks of {LENGTH} "
        "hours unless said otherwise. One thread, its processor time. `statistics` keeps five figures of a path, bare "
        "kernels its end and drawdown",
        **rates,
        "times_the_rate_of": {
            bare: figures({name: rates[name]["value"] / rates[bare]["value"] for name in ours}, "times")
            for bare in ways
            if bare.startswith("bare")
        },
        "arch": beside_arch(returns[:STEPS], seed, paths, max(1, repeats // 10)),
        "threads": _threads(ours["bootstrap_circular_scaled"], seed, paths, repeats),
    }


def generators(returns: FloatArray) -> dict[str, PathGenerator]:
    """The generators that are timed. The regime generator is fitted to days: its steps cost the same."""
    column = returns[:, None]
    days = returns[: len(returns) // 24 * 24].reshape(-1, 24).sum(axis=1)[:, None]
    return {
        "bootstrap_circular_as_it_is": _bootstrap(column, Blocks.CIRCULAR, Present.IGNORED),
        "bootstrap_circular_scaled": _bootstrap(column, Blocks.CIRCULAR, Present.SCALED),
        "bootstrap_stationary_scaled": _bootstrap(column, Blocks.STATIONARY, Present.SCALED),
        "bootstrap_as_by_default": fit_bootstrap(column),
        "regimes": fit_regime_generator(days),
    }


def beside_arch(returns: FloatArray, seed: int, paths: int, repeats: int) -> dict[str, Any]:
    """End and drawdown of circular block resamples of (n,) returns, as long as they are, by both.

    `arch` is handed a compiled statistic: what is compared is the drawing. Blocks of ours end with the sample, those of
    `arch` wrap around, so the two laws differ a little.
    """
    generator = _bootstrap(returns[:, None], Blocks.CIRCULAR, Present.IGNORED)
    found: dict[str, FloatArray] = {}

    def ours() -> None:
        kept = generator.statistics(paths, len(returns), seed)
        found["bootstrap"] = np.hstack([kept.log_return, -np.log1p(-kept.max_drawdown)])

    def theirs() -> None:
        found["arch"] = CircularBlockBootstrap(LENGTH, returns, seed=seed).apply(drawdown_of, paths)

    rates = _rates({"bootstrap": ours, "arch": theirs}, paths * len(returns), repeats)
    return {
        "how": f"circular blocks of {LENGTH} hours of a sample as long as a path, {len(returns)}: end and drawdown",
        **rates,
        "bootstrap_to_arch": ratio(rates["bootstrap"]["value"], rates["arch"]["value"]),
        "mean_drawdown": figures({name: float(kept[:, 1].mean()) for name, kept in found.items()}, "log"),
    }


def measure_many(seed: int, paths: int, steps: int) -> dict[str, Any]:
    """A million paths of a year: time on all threads, and what memory they take beyond the program itself."""
    generator = _bootstrap(hourly_returns(seed)[:, None], Blocks.CIRCULAR, Present.SCALED)
    threads = os.cpu_count() or 1
    generator.statistics(threads, STEPS, seed, threads=threads)
    before, began = _peak_mb(), time.perf_counter()
    found = generator.statistics(paths, steps, seed, threads=threads)
    seconds = time.perf_counter() - began
    return {
        "paths": figure(paths, "paths"),
        "steps": figure(steps, "steps each"),
        "threads": figure(threads, "threads"),
        "wall_time": figure(seconds, "s"),
        "rate": figure(paths * steps / seconds, "path-steps/s"),
        "drawdown_p99": figure(float(np.quantile(found.max_drawdown, 0.99)), "share"),
        "peak_before_the_paths": figure(before, "MB"),
        "peak_with_the_paths": figure(_peak_mb(), "MB"),
        "all_steps_would_take": figure(paths * steps * 8 / 1e6, "MB"),
    }


def _bootstrap(returns: FloatArray, blocks: Blocks, present: Present) -> BlockBootstrap:
    return fit_bootstrap(returns, blocks=blocks, length=LENGTH, present=present)


def _statistics(generator: PathGenerator, paths: int, seed: int) -> Way:
    return lambda: generator.statistics(paths, STEPS, seed)


def _rates(ways: Mapping[str, Way], steps: int, repeats: int) -> dict[str, Figure]:
    """Steps a second of each way by processor time: the first run compiles, then they take turns."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.thread_time()
            way()
            spent[name].append(time.thread_time() - began)
    return {
        name: {**figure(steps / min(seconds), "path-steps/s"), "time": best([1000 * s for s in seconds], "ms")}
        for name, seconds in spent.items()
    }


def _threads(generator: PathGenerator, seed: int, paths: int, repeats: int) -> dict[str, Any]:
    """The same paths on 1, 2, 4, ... threads up to the cores, by the clock on the wall."""
    cores = os.cpu_count() or 1
    counts = sorted({1, cores} | {2**power for power in range(1, cores.bit_length()) if 2**power <= cores})
    spent: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(repeats):
        for count, seconds in spent.items():
            began = time.perf_counter()
            generator.statistics(paths, STEPS, seed, threads=count)
            seconds.append(time.perf_counter() - began)
    return {
        "how": f"bootstrap_circular_scaled, {paths} paths of {STEPS} hours, wall time",
        **{f"on_{count}": best([1000 * s for s in seconds], "ms") for count, seconds in spent.items()},
        "fastest_to_one": ratio(min(spent[1]), min(min(seconds) for seconds in spent.values())),
    }


def _peak_mb() -> float:
    """Largest resident set of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT_BYTES / 1e6
