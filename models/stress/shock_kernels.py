"""Compiled filling of conditions: the events of one path at a time, each written over the steps that it touches.

Times and sizes are a function of event, path number and number of the event in the path, and of nothing else: not of
returns, not of other events, not of the length of the path, whose first half is that of a path half as long.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.stress.counter_rng import philox, uniform
from models.stress.effects import Channel, LawKind

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
KeyArray = NDArray[np.uint64]
BoolArray = NDArray[np.bool_]

GONE = 1e-6  # share of an effect that is left when it counts as over

SIGMAS, FALL, DOLLAR = int(Channel.SIGMAS), int(Channel.FALL), int(Channel.DOLLAR)
VOLATILITY, HALF_SPREAD, DEPTH = int(Channel.VOLATILITY), int(Channel.HALF_SPREAD), int(Channel.DEPTH)
HALT, STALE = int(Channel.HALT), int(Channel.STALE)
LOGNORMAL, LOMAX, SIGNED = int(LawKind.LOGNORMAL), int(LawKind.LOMAX), int(LawKind.SIGNED)


class Program(NamedTuple):
    """Events and their effects as columns; time in steps.

    Of events: `key`, `rate` a step (0 = not by chance), `at` (-1 = not fixed), and the effects
    `first[e]` to `first[e + 1]`. Of effects: `channel`, `law`, `size` (effects, 3), `delay`, `ramp`, `length`
    (effects, 2) least and most, `decay` a step, `weight` (effects, assets).
    """

    key: KeyArray
    rate: FloatArray
    at: FloatArray
    first: IntArray
    channel: IntArray
    law: IntArray
    size: FloatArray
    delay: FloatArray
    ramp: FloatArray
    length: FloatArray
    decay: FloatArray
    weight: FloatArray


class Arrays(NamedTuple):
    """The arrays of `Conditions`, of one path (steps, assets), (steps,) or of many with paths in front."""

    log_return: FloatArray
    sigma_multiplier: FloatArray
    half_spread_multiplier: FloatArray
    depth_share: FloatArray
    halted: BoolArray
    score_stale: BoolArray
    funding: FloatArray


@njit(cache=True, nogil=True)
def _size(law: int, numbers: FloatArray, u: float, v: float) -> float:
    a, b, c = float(numbers[0]), float(numbers[1]), float(numbers[2])
    if law == LOGNORMAL:
        normal = math.sqrt(-2.0 * math.log1p(-u)) * math.cos(2.0 * math.pi * v)  # Box & Muller 1958
        return a * math.exp(b * normal)
    if law == LOMAX:
        return a + b * math.expm1(-math.log1p(-u) / c)
    size = a + (b - a) * u
    return -size if law == SIGNED and v < 0.5 else size


@njit(cache=True, nogil=True)
def _level(channel: int, part: float) -> float:
    """Log worth of a leg of which this much has happened."""
    if channel == SIGMAS:
        return -part
    return math.log1p(-part) if channel == FALL else -math.log1p(part)


@njit(cache=True, nogil=True)
def _strike(
    channel: int, size: float, ramp: float, decay: float, weight: FloatArray, begin: int, out: FloatArray
) -> None:
    """Change the worth of the legs with a weight from step `begin` on, into (steps, assets) `out`."""
    steps, assets = out.shape
    for asset in range(assets):
        if weight[asset] == 0.0:
            continue
        before, left = 0.0, 1.0
        for step in range(begin, steps):
            arrived = min((step - begin + 1) / ramp, 1.0)
            over = left < GONE
            level = 0.0 if over else _level(channel, weight[asset] * size * arrived * left)
            out[step, asset] += level - before
            if over or (arrived == 1.0 and decay == 1.0):
                break
            before, left = level, left * decay


@njit(cache=True, nogil=True)
def _last(channel: int, size: float, begin: int, end: int, out: Arrays) -> None:
    """Hold an effect over the steps [begin, end)."""
    for step in range(begin, end):
        if channel == HALF_SPREAD:
            out.half_spread_multiplier[step] = max(out.half_spread_multiplier[step], size)
        elif channel == DEPTH:
            out.depth_share[step] = min(out.depth_share[step], size)
        elif channel == HALT:
            out.halted[step] = True
        elif channel == STALE:
            out.score_stale[step] = True
        else:
            out.funding[step] += size


@njit(cache=True, nogil=True)
def _happen(program: Program, event: int, key: np.uint64, number: np.uint64, path: np.uint64, time: float,
            how_long: float, out: Arrays) -> None:  # fmt: skip
    """All effects of one event that comes at `time`."""
    steps = len(out.funding)
    for index in range(program.first[event], program.first[event + 1]):
        a, b, c, d = philox(key, number, np.uint64(1 + index - program.first[event]), path)
        size = _size(program.law[index], program.size[index], uniform(a, b), uniform(c, d))
        came = time + program.delay[index]
        if came >= steps:
            continue
        begin, channel = int(came), program.channel[index]
        if channel <= DOLLAR:
            _strike(
                channel, size, program.ramp[index], program.decay[index], program.weight[index], begin, out.log_return
            )
        elif channel == VOLATILITY:
            excess = size - 1.0
            for step in range(begin, steps):
                out.sigma_multiplier[step] = max(out.sigma_multiplier[step], 1.0 + excess)
                excess *= program.decay[index]
                if excess < GONE:
                    break
        else:
            least, most = program.length[index, 0], program.length[index, 1]
            _last(channel, size, begin, int(min(came + least + (most - least) * how_long, float(steps))), out)


@njit(cache=True, nogil=True)
def fill_path(program: Program, path: int, out: Arrays) -> None:
    """Conditions of path number `path` into the arrays of one path, whatever stood there."""
    out.log_return[:] = 0.0
    out.sigma_multiplier[:] = 1.0
    out.half_spread_multiplier[:] = 1.0
    out.depth_share[:] = 1.0
    out.halted[:] = False
    out.score_stale[:] = False
    out.funding[:] = 0.0
    steps, place = len(out.funding), np.uint64(path)
    for event in range(len(program.key)):
        key = program.key[event]
        if program.at[event] >= 0.0:
            _, _, c, d = philox(key, np.uint64(0), np.uint64(0), place)
            _happen(program, event, key, np.uint64(0), place, program.at[event], uniform(c, d), out)
        if program.rate[event] <= 0.0:
            continue
        time, number = 0.0, np.uint64(0)
        while True:
            a, b, c, d = philox(key, number, np.uint64(0), place)
            time -= math.log1p(-uniform(a, b)) / program.rate[event]
            if time >= steps:
                break
            _happen(program, event, key, number, place, time, uniform(c, d), out)
            number += np.uint64(1)


def rows(arrays: Arrays, first: int, end: int) -> Arrays:
    """The paths [first, end) of arrays with paths in front."""
    return Arrays(
        arrays.log_return[first:end],
        arrays.sigma_multiplier[first:end],
        arrays.half_spread_multiplier[first:end],
        arrays.depth_share[first:end],
        arrays.halted[first:end],
        arrays.score_stale[first:end],
        arrays.funding[first:end],
    )


@njit(cache=True, nogil=True)
def fill_paths(program: Program, first: int, out: Arrays) -> None:
    """Paths first, first + 1, ... into arrays with paths in front."""
    for i in range(len(out.funding)):
        fill_path(
            program,
            first + i,
            Arrays(
                out.log_return[i],
                out.sigma_multiplier[i],
                out.half_spread_multiplier[i],
                out.depth_share[i],
                out.halted[i],
                out.score_stale[i],
                out.funding[i],
            ),
        )
