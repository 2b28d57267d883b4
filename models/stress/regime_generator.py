"""Regime generator: paths that no sample has seen, from a chain of volatility states with clustering inside them.

A state sets the level of variance for months, a GJR-GARCH moves it for days, shocks are residuals of rows of the same
state. A chain alone misses how returns cluster from day to day, a GARCH alone how long volatility stays. Assets share
states and rows, so that they fall together. The compiled part is in
`regime_kernels.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.regimes.chain import fit_chain
from models.regimes.sample import MIN_DAYS
from models.stress.generator import Kernels, PathGenerator
from models.stress.gjr import CAP, Gjr, fit_gjr, variance_path
from models.stress.regime_kernels import Law, Start, fill_figures, fill_paths
from models.volatility.ewma import ewma

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_ROWS = 365
STATE_DECAY = 0.99  # half-life of a quarter: what comes and goes within weeks is left to the variance inside states
UNSEEN_MOVES = 0.5  # moves of each kind before the sample, and as many again of staying
BURN_IN_STEPS = 250


@dataclass(frozen=True)
class RegimeGenerator(PathGenerator):
    """A fitted generator; paths begin in the present.

    Parameters
    ----------
    law, start : as the kernels read them
    moves : (states, states) probabilities of the next step's state
    gjr : inside states, by asset
    """

    law: Law
    start: Start
    moves: FloatArray
    gjr: tuple[Gjr, ...]
    name: ClassVar[str] = "regimes"

    @property
    def assets(self) -> int:
        return len(self.law.mean)

    def kernels(self, steps: int) -> Kernels:
        law, start = self.law, self.start
        return Kernels(
            lambda key, first, out: fill_paths(law, start, key, first, out),
            lambda key, first, out: fill_figures(law, start, key, first, steps, out),
        )

    def in_the_long_run(self) -> RegimeGenerator:
        """The same law, but paths begin anywhere: what a history of this length could have looked like."""
        state, zero = np.cumsum(stationary(self.moves))[None, :], np.zeros(self.assets)
        return replace(self, start=Start(state, zero, np.ones(self.assets), BURN_IN_STEPS))


def fit_regime_generator(returns: FloatArray) -> RegimeGenerator:
    """Fit to joint daily log returns.

    Parameters
    ----------
    returns : (n, assets), oldest first. Rows with a missing value of any asset are left out, their neighbours joined

    Raises
    ------
    ValueError
        Fewer than 365 usable rows, or an asset that never moves.

    Notes
    -----
    r_t = mean + memory (r_{t-1} - mean) + sqrt(min(level_S h_t, 400 long-run)) z_t. S: likeliest filtered state of the
    chain of `models.regimes` on slow log variance, averaged over assets; a state with fewer than 60 rows joins its
    neighbour. level: mean square in a state, all of them such that the sample's variance is that of the long run. h:
    GJR-GARCH of the returns over the root of the level expected the day before. z: their residuals, of mean 0 and
    variance 1 in every state.
    """
    rows = returns[np.isfinite(returns).all(axis=1)]
    if len(rows) < MIN_ROWS:
        raise ValueError(f"a regime generator needs {MIN_ROWS} rows without a missing value, got {len(rows)}")
    if not (rows.std(axis=0) > 0).all():
        raise ValueError("an asset never moves: it has no volatility to simulate")
    mean = rows.mean(axis=0)
    deviation = rows - mean
    memory = (deviation[1:] * deviation[:-1]).sum(axis=0) / (deviation**2).sum(axis=0)
    shocks = deviation.copy()
    shocks[1:] -= memory * deviation[:-1]
    states = volatility_states(shocks)
    moves = _moves(states)
    member = np.eye(len(moves))[states]
    level = (member.T @ shocks**2 / member.sum(axis=0)[:, None]).T
    expected = np.vstack([stationary(moves), member[:-1] @ moves]) @ level.T
    fits, residual, ahead = _inside(shocks / np.sqrt(expected))
    long_run = shocks.var(axis=0)
    level *= (long_run / (level @ stationary(moves)))[:, None]
    by_state = np.argsort(states, kind="stable")
    residual = np.ascontiguousarray(_unit_in_each_state(residual, member)[by_state].T)
    law = Law(
        np.cumsum(moves, axis=1),
        np.concatenate([[0], np.cumsum(np.bincount(states))]),
        residual,
        np.array(
            [(fit.alpha + fit.gamma * (z < 0.0)) * z**2 + fit.beta for z, fit in zip(residual, fits, strict=True)]
        ),
        np.ascontiguousarray(level),
        mean,
        memory,
        np.array([fit.omega for fit in fits]),
        CAP * long_run,
    )
    start = Start(np.cumsum(member[-1:], axis=1), deviation[-1], ahead, 0)
    return RegimeGenerator(law, start, moves, fits)


def volatility_states(shocks: FloatArray) -> IntArray:
    """(n,) likeliest state of each row given the rows up to it, from 0 in the order of variance, none under 60 rows."""
    squares = np.vstack([(shocks**2).mean(axis=0), shocks**2])
    slow = np.array([ewma(np.ascontiguousarray(column), STATE_DECAY)[1:] for column in squares.T])
    log_variance = np.log(np.maximum(slow, RV_FLOOR))
    market = (log_variance - log_variance.mean(axis=1, keepdims=True)).mean(axis=0)
    chain = fit_chain(market)
    if chain is None:
        raise ValueError("too few rows for a chain of states")
    states = chain.filtered(market).argmax(axis=1)
    seen = [k for k in range(len(chain.mean)) if (states == k).sum() >= MIN_DAYS]
    nearest = np.array([int(np.argmin([abs(k - other) for other in seen])) for k in range(len(chain.mean))])
    return np.asarray(nearest[states])


def stationary(moves: FloatArray) -> FloatArray:
    """(states,) long-run probabilities of a chain whose moves are all possible."""
    states = len(moves)
    equations = np.vstack([moves.T - np.eye(states), np.ones(states)])
    found: FloatArray = np.linalg.lstsq(equations, np.append(np.zeros(states), 1.0), rcond=None)[0]
    return found


def _moves(states: IntArray) -> FloatArray:
    count = int(states.max()) + 1
    moves = UNSEEN_MOVES * (np.ones((count, count)) + np.eye(count))
    np.add.at(moves, (states[:-1], states[1:]), 1.0)
    return np.asarray(moves / moves.sum(axis=1, keepdims=True))


def _inside(scaled: FloatArray) -> tuple[tuple[Gjr, ...], FloatArray, FloatArray]:
    """By asset: the variance inside states of (n, assets) shocks over their level; residuals (n, assets); the variance
    (assets,) of the next step."""
    unit = scaled / scaled.std(axis=0)
    fits = tuple(fit_gjr(np.ascontiguousarray(y)) for y in unit.T)
    paths = [
        variance_path(np.ascontiguousarray(y), fit.omega, fit.alpha, fit.gamma, fit.beta)
        for y, fit in zip(unit.T, fits, strict=True)
    ]
    h = np.array(paths).T
    return fits, unit / np.sqrt(h[:-1]), h[-1]


def _unit_in_each_state(residual: FloatArray, member: FloatArray) -> FloatArray:
    share = member / member.sum(axis=0)
    centred = residual - member @ (share.T @ residual)
    return np.asarray(centred / np.sqrt(member @ (share.T @ centred**2)))
