"""The kernel of the shocks once more in plain Python: one path, one event, one step after another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from models.stress.effects import Channel, LawKind
from models.stress.shock_kernels import Program
from tests.models.stress.slow_paths import draw, unit


def path_of(program: Program, path: int, steps: int) -> dict[str, Any]:
    """Conditions of one path by name."""
    out: dict[str, Any] = {
        "log_return": np.zeros((steps, program.weight.shape[1])),
        "sigma_multiplier": np.ones(steps),
        "half_spread_multiplier": np.ones(steps),
        "depth_share": np.ones(steps),
        "halted": np.zeros(steps, dtype=bool),
        "score_stale": np.zeros(steps, dtype=bool),
        "funding": np.zeros(steps),
    }
    for event in range(len(program.key)):
        for number, time in enumerate(times(program, event, path, steps)):
            happen(program, event, path, number, time, out)
    return out


def times(program: Program, event: int, path: int, steps: int) -> list[float]:
    """When an event comes, in steps."""
    if program.at[event] >= 0:
        return [float(program.at[event])]
    found: list[float] = []
    time, rate = 0.0, program.rate[event]
    while rate > 0:
        a, b, _, _ = draw(int(program.key[event]), len(found), 0, path)
        time += -math.log1p(-unit(a, b)) / rate
        if time >= steps:
            break
        found.append(time)
    return found


def happen(program: Program, event: int, path: int, number: int, time: float, out: dict[str, Any]) -> None:
    key, steps = int(program.key[event]), len(out["funding"])
    _, _, c, d = draw(key, number, 0, path)
    how_long = unit(c, d)
    for place, effect in enumerate(range(program.first[event], program.first[event + 1])):
        a, b, c, d = draw(key, number, 1 + place, path)
        size = size_of(program.law[effect], program.size[effect], unit(a, b), unit(c, d))
        came = time + program.delay[effect]
        channel, begin = program.channel[effect], int(came)
        least, most = program.length[effect]
        end = int(came + least + (most - least) * how_long)
        if channel in (Channel.SIGMAS, Channel.FALL, Channel.DOLLAR):
            for asset, weight in enumerate(program.weight[effect]):
                if weight:
                    levels = course(channel, weight * size, program.ramp[effect], program.decay[effect], steps - begin)
                    for step, (now, before) in enumerate(zip(levels, [0.0, *levels], strict=False)):
                        out["log_return"][begin + step, asset] += now - before
            continue
        excess = size - 1.0
        for step in range(max(begin, 0), steps):
            if channel == Channel.VOLATILITY:
                if step > begin and excess < 1e-6:
                    break
                out["sigma_multiplier"][step] = max(out["sigma_multiplier"][step], 1.0 + excess)
                excess *= program.decay[effect]
            elif step < end:
                if channel == Channel.HALF_SPREAD:
                    out["half_spread_multiplier"][step] = max(out["half_spread_multiplier"][step], size)
                elif channel == Channel.DEPTH:
                    out["depth_share"][step] = min(out["depth_share"][step], size)
                elif channel == Channel.HALT:
                    out["halted"][step] = True
                elif channel == Channel.STALE:
                    out["score_stale"][step] = True
                else:
                    out["funding"][step] += size


def course(channel: int, whole: float, ramp: float, decay: float, steps: int) -> list[float]:
    """Log worth after each step of an effect that has begun; gone for good once a millionth is left."""
    left, levels = 1.0, []
    for step in range(steps):
        part = whole * min((step + 1) / ramp, 1.0) * left
        if left < 1e-6:
            levels.append(0.0)
        elif channel == Channel.SIGMAS:
            levels.append(-part)
        elif channel == Channel.FALL:
            levels.append(math.log1p(-part))
        else:
            levels.append(-math.log1p(part))
        left *= decay
    return levels


def size_of(law: int, numbers: Any, u: float, v: float) -> float:
    a, b, c = (float(one) for one in numbers)
    if law == LawKind.LOGNORMAL:
        normal = math.sqrt(-2.0 * math.log1p(-u)) * math.cos(2.0 * math.pi * v)
        return a * math.exp(b * normal)
    if law == LawKind.LOMAX:
        return a + b * math.expm1(-math.log1p(-u) / c)
    size = a + (b - a) * u
    return -size if law == LawKind.SIGNED and v < 0.5 else size
