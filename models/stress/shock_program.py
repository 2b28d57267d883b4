"""Events made ready for the compiled kernel: days become steps, legs become weights, names become keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.stress.conditions import Conditions
from models.stress.counter_rng import key_of
from models.stress.effects import Channel, Event
from models.stress.legs import Market
from models.stress.path_statistics import in_shares
from models.stress.shock_kernels import Arrays, Program, fill_paths, rows

HOURS_OF_FUNDING = 8.0


def compile_events(events: Sequence[Event], market: Market, seed: int) -> Program:
    """The columns of the kernel.

    Parameters
    ----------
    events : of different names
    market : legs and steps
    seed : of all draws; an event's key is seed and name, so events that are added or left out change no other

    Raises
    ------
    ValueError
        Two events have one name: they would come at the same times.
    """
    names = [event.name for event in events]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"events of one name come at the same times: rename {', '.join(twice)}")
    per_day = market.steps_per_day
    effects = [effect for event in events for effect in event.effects]
    per_step = 24.0 / per_day / HOURS_OF_FUNDING
    scale = np.array([[per_step, per_step, 1.0] if e.channel is Channel.FUNDING else [1.0] * 3 for e in effects])
    sizes = np.array([[e.size.a, e.size.b, e.size.c] for e in effects])
    return Program(
        key=np.array([key_of(seed, name) for name in names], dtype=np.uint64),
        rate=np.array([event.rate_per_year / market.steps_per_year for event in events], dtype=np.float64),
        at=np.array([event.at_step for event in events], dtype=np.float64),
        first=np.cumsum([0, *(len(event.effects) for event in events)]).astype(np.int64),
        channel=np.array([e.channel for e in effects], dtype=np.int64),
        law=np.array([e.size.kind for e in effects], dtype=np.int64),
        size=(scale * sizes).reshape(len(effects), 3),
        delay=np.array([e.delay_days * per_day for e in effects], dtype=np.float64),
        ramp=np.array([max(e.over_days * per_day, 1.0) for e in effects], dtype=np.float64),
        length=np.array([[day * per_day for day in e.days] for e in effects], dtype=np.float64).reshape(-1, 2),
        decay=np.array([0.5 ** (1.0 / (e.half_life_days * per_day)) for e in effects], dtype=np.float64),
        weight=np.array([e.weights(market) for e in effects]).reshape(len(effects), len(market.legs)),
    )


def empty_arrays(shape: tuple[int, ...], assets: int) -> Arrays:
    """Arrays to be filled, of shape (steps,) for one path or (paths, steps); nothing in them means anything yet."""
    return Arrays(
        np.empty((*shape, assets)),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape, dtype=np.bool_),
        np.empty(shape, dtype=np.bool_),
        np.empty(shape),
    )


def conditions_of(program: Program, paths: int, steps: int, first: int = 0, threads: int = 1) -> Conditions:
    """Conditions of paths first, first + 1, ...: the same bytes in whatever shares and on however many threads.

    Raises
    ------
    ValueError
        There is no path or no step, or `first` is negative.
    """
    if min(paths, steps) < 1 or first < 0:
        raise ValueError(f"conditions need a path, a step and a first path from 0, got {paths}, {steps}, {first}")
    out = empty_arrays((paths, steps), program.weight.shape[1])
    in_shares(lambda a, b: fill_paths(program, first + a, rows(out, a, b)), paths, threads)
    return Conditions(*out)
