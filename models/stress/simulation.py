"""Simulation of a vault: joint paths of a generator, conditions of shocks, and the live policy in the loop.

The same paths are lived through by three: `hold` never trades, `policy` is the vault with its keeper, `mix` holds on
average as much as the policy did and knows no score. Here: what a simulation is, and how it is carried out in bounded
memory. Figures are in `figures.py` and `results.py`, the arithmetic of a path in `vault_kernels.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.backtest.mixes import as_row, at_exposure
from models.contracts.running import Runner
from models.contracts.vault import VaultConfig
from models.stress.bands import BAND_PATHS, shown_steps
from models.stress.conditions import Conditions, neutral
from models.stress.counter_rng import key_of
from models.stress.course_figures import EXPOSURE, FIGURES
from models.stress.setup import Setup, terms_of
from models.stress.shock_kernels import Arrays
from models.stress.vault_kernels import HOLD, MIX, POLICY, VaultTerms, run_paths

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Inject = Callable[[int, int], Conditions]

STRATEGIES = ("hold", "policy", "mix")
BLOCK_BYTES = 8_000_000
MOST_PATHS_A_BLOCK = 256
BLOCKS_A_ROUND = 4  # by thread, between two looks at `is_cancelled`
PILOT_PATHS = 500
ROUNDS = 4  # in which a runner is asked, so that who watches hears of it


class Cancelled(Exception):
    """The run was called off; nothing of it is left."""


@dataclass(frozen=True)
class Control:
    """How a run is carried out; nothing of this changes a byte of its result.

    Parameters
    ----------
    threads : that share the paths
    progress : called with (share of the work done 0-1) after every round of blocks, in the caller's thread
    is_cancelled : asked before every round of blocks
    block_paths : paths that are in memory at once for each thread; None = as many as 8 MB hold
    runner : that shares the paths instead of the threads, such as a cluster; None = they are lived through here
    """

    threads: int = 1
    progress: Callable[[float], None] | None = None
    is_cancelled: Callable[[], bool] | None = None
    block_paths: int | None = None
    runner: Runner | None = None

    def __post_init__(self) -> None:
        if self.threads < 1 or (self.block_paths is not None and self.block_paths < 1):
            raise ValueError("a run needs a thread and a path in memory")


@dataclass(frozen=True, eq=False)
class Simulated:
    """What is kept of a run.

    Parameters
    ----------
    tables : by strategy, (paths, 10) figures of each path in the order of `course_figures`
    shown : (points,) closes at which equity is kept, 0 = the start
    equity : by strategy, (first paths, points), 1 = the start
    mix_weights : of the constant mix, in the order of the legs
    """

    tables: Mapping[str, FloatArray]
    shown: IntArray
    equity: Mapping[str, FloatArray]
    mix_weights: FloatArray


def simulate_vault(
    setup: Setup, paths: int, seed: int, inject: Inject | None = None, control: Control | None = None
) -> Simulated:
    """Simulate `paths` paths.

    Parameters
    ----------
    inject : (first path, number of paths) -> their conditions, (paths, steps, legs in the vault's order); a function of
        the path's number alone. None = no shocks

    Raises
    ------
    Cancelled
        `is_cancelled` said so.
    ValueError
        There is no path, or conditions do not fit.

    Notes
    -----
    Memory: 80 bytes a path and strategy, at most 10,000 paths at 121 closes for the bands (10 MB a strategy), and for
    each thread a block of paths (8 MB, or one path where that is more) with its conditions. The mix is run after the
    policy, on the same paths drawn again: its exposure is the policy's mean over all paths, corrected once, on the
    first 500 paths, for how far a mix drifts from what it wants.
    """
    if paths < 1:
        raise ValueError(f"a simulation needs a path, got {paths}")
    run = _Run(setup, seed, inject, control or Control(), paths)
    terms = terms_of(setup)
    run.do(terms, (HOLD, POLICY), paths, 0.0, 0.6)
    wanted = float(run.tables[POLICY, :, EXPOSURE].mean())
    mix = _mix(setup.vault, wanted)
    pilot = min(paths, PILOT_PATHS)
    run.do(_with_mix(terms, mix), (MIX,), pilot, 0.6, 0.6 + 0.4 * pilot / (paths + pilot))
    held = float(run.tables[MIX, :pilot, EXPOSURE].mean())
    mix = _mix(setup.vault, 2.0 * wanted - held)
    run.do(_with_mix(terms, mix), (MIX,), paths, 0.6 + 0.4 * pilot / (paths + pilot), 1.0)
    return Simulated(
        dict(zip(STRATEGIES, run.tables, strict=True)), run.shown, dict(zip(STRATEGIES, run.equity, strict=True)), mix
    )


def _mix(vault: VaultConfig, exposure: float) -> FloatArray:
    return as_row(vault, at_exposure(vault, float(np.clip(exposure, 0.0, 1.0))))


def _with_mix(terms: VaultTerms, mix: FloatArray) -> VaultTerms:
    return terms._replace(mix=np.tile(mix, (len(terms.times_us), 1)))


@dataclass
class _Run:
    """Paths `offset` to `offset` + `paths`; rows of tables and equity are counted from the first of them."""

    setup: Setup
    seed: int
    inject: Inject | None
    control: Control
    paths: int
    offset: int = 0
    tables: FloatArray = field(init=False)
    equity: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        setup, legs = self.setup, len(self.setup.vault.assets)
        self.shown = shown_steps(setup.steps)
        self.tables = np.empty((len(STRATEGIES), self.paths, FIGURES))
        self.equity = np.empty((len(STRATEGIES), self._in_bands(self.paths), len(self.shown)))
        bytes_a_path = 8 * setup.steps * (setup.generator.assets + legs + 5)
        fitting = min(max(1, BLOCK_BYTES // bytes_a_path), MOST_PATHS_A_BLOCK)
        self._block = self.control.block_paths or fitting
        self._fill = setup.kernels.paths
        self._key = key_of(self.seed, setup.generator.name)
        self._noise = key_of(self.seed, "score_noise")
        self._calm = None if self.inject else neutral(self._block, setup.steps, legs)

    def do(self, terms: VaultTerms, strategies: tuple[int, ...], paths: int, begin: float, end: float) -> None:
        """Live through the first `paths` paths; progress goes from `begin` to `end`."""
        if self.control.runner is not None and paths > PILOT_PATHS:
            self._share(self.control.runner, terms, strategies, paths, begin, end)
        else:
            self._do_here(terms, strategies, paths, begin, end)
        if self.control.progress is not None:
            self.control.progress(end)

    def _share(
        self, runner: Runner, terms: VaultTerms, strategies: tuple[int, ...], paths: int, begin: float, end: float
    ) -> None:
        control, at_once = self.control, runner.workers
        size = -(-paths // (at_once * ROUNDS))
        parts = [(first, min(first + size, paths)) for first in range(0, paths, size)]
        setup = replace(self.setup)  # without kernels: they are made where they run
        for number in range(0, len(parts), at_once):
            own = parts[number : number + at_once]
            if control.is_cancelled is not None and control.is_cancelled():
                raise Cancelled(f"called off after {own[0][0]} of {paths} paths")
            tasks = [partial(lived, setup, self.seed, self.inject, terms, strategies, *part) for part in own]
            for (first, stop), (tables, equity) in zip(own, runner(tasks), strict=True):
                self.tables[list(strategies), first:stop] = tables
                self.equity[list(strategies), first : first + equity.shape[1]] = equity
            if control.progress is not None and own[-1][1] < paths:
                control.progress(begin + (end - begin) * own[-1][1] / paths)

    def _in_bands(self, paths: int) -> int:
        return min(paths, max(0, BAND_PATHS - self.offset))

    def _do_here(self, terms: VaultTerms, strategies: tuple[int, ...], paths: int, begin: float, end: float) -> None:
        control, starts = self.control, range(0, paths, self._block)
        a_round = control.threads * BLOCKS_A_ROUND
        ahead: deque[Future[None]] = deque()
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(control.threads)) if control.threads > 1 else None
            for number, first in enumerate(starts):
                if number % a_round == 0 and control.is_cancelled is not None and control.is_cancelled():
                    raise Cancelled(f"called off after {first} of {paths} paths")
                part = (terms, strategies, first, min(first + self._block, paths))
                if pool is None:
                    self._live(*part)
                else:  # a round ahead, so that nobody waits for the slowest of a round
                    ahead.append(pool.submit(self._live, *part))
                    if len(ahead) > a_round:
                        ahead.popleft().result()
                done = part[3] - self._block * len(ahead)
                if control.progress is not None and (number + 1) % a_round == 0 and 0 < done < paths:
                    control.progress(begin + (end - begin) * done / paths)
            for last in ahead:
                last.result()

    def _live(self, terms: VaultTerms, strategies: tuple[int, ...], first: int, stop: int) -> None:
        count, steps, legs = stop - first, self.setup.steps, len(self.setup.vault.assets)
        path = self.offset + first
        drawn = np.empty((count, self.setup.generator.assets, steps))
        self._fill(self._key, path, drawn)
        conditions = self._calm if self.inject is None else self.inject(path, count)
        assert conditions is not None
        if self.inject and conditions.log_return.shape != (count, steps, legs):
            raise ValueError(
                f"conditions of {count} paths, {steps} steps and {legs} legs are asked for, got "
                f"{conditions.log_return.shape}"
            )
        figures, equity = np.empty((len(strategies), count, FIGURES)), self.equity[:, first:stop]
        shown = np.empty((len(strategies), equity.shape[1], len(self.shown)))
        run_paths(
            terms,
            self.setup.score.terms,
            self._noise,
            path,
            drawn,
            _shocked(conditions),
            np.array(strategies, dtype=np.int64),
            figures,
            self.shown,
            shown,
        )
        for row, strategy in enumerate(strategies):
            self.tables[strategy, first:stop] = figures[row]
            equity[strategy] = shown[row]


def lived(
    setup: Setup,
    seed: int,
    inject: Inject | None,
    terms: VaultTerms,
    strategies: tuple[int, ...],
    first: int,
    stop: int,
) -> tuple[FloatArray, FloatArray]:
    """Paths `first` to `stop` of a run: the task that a runner is given.

    Returns
    -------
    (strategies, stop - first, 10) figures of each path, (strategies, paths of them in the bands, points) equity.
    """
    run = _Run(setup, seed, inject, Control(), stop - first, first)
    run.do(terms, strategies, stop - first, 0.0, 1.0)
    return run.tables[list(strategies)], run.equity[list(strategies)]


def _shocked(conditions: Conditions) -> Arrays:
    return Arrays(
        np.ascontiguousarray(conditions.log_return),
        np.ascontiguousarray(conditions.sigma_multiplier),
        np.ascontiguousarray(conditions.half_spread_multiplier),
        np.ascontiguousarray(conditions.depth_share),
        np.ascontiguousarray(conditions.halted),
        np.ascontiguousarray(conditions.score_stale),
        np.ascontiguousarray(conditions.funding),
    )
