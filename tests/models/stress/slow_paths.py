"""The kernels of the stress suite once more in plain Python, step by step, to hold the compiled ones against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.stress.bootstrap_kernels import Course, Sample
from models.stress.gjr import Gjr
from models.stress.path_score import ScoreTerms
from models.stress.regime_kernels import Law, Start

FloatArray = NDArray[np.float64]

NAMES = ("alpha", "gamma", "beta", "omega")


def philox(key: int, counter: Sequence[int]) -> list[int]:
    """Philox 4x32-10 as its authors write it down."""
    c, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def unit(high: int, low: int) -> float:
    return ((high << 21) + (low >> 11)) / 2**53


def draw(key: int, first: int, second: int, path: int) -> list[int]:
    return philox(key, (first, second, path & 0xFFFFFFFF, path >> 32))


def bootstrap_path(sample: Sample, course: Course, key: int, path: int, steps: int) -> FloatArray:
    """(steps, assets) of one path, one step at a time."""
    out, row, left, block, end_of_run = [], 0, 0, 0, 0
    ratio = np.ones(len(sample.mean))
    for step in range(steps):
        if left == 0 or row == end_of_run:
            a, b, c, d = draw(key, block, 1, path)
            row = start_of_block(sample, course, step, unit(a, b))
            left = int(course.length)
            if not course.fixed:
                left = 1 if course.length == 1 else 1 + int(math.log1p(-unit(c, d)) / math.log1p(-1 / course.length))
            end_of_run = sample.stop[row]
            if course.sigma.size:
                ratio = np.clip(course.sigma[:, step] / sample.sigma[:, row], course.lowest, course.highest)
            block += 1
        out.append(sample.mean + ratio * sample.deviation[:, row])
        row, left = row + 1, left - 1
    return np.array(out)


def start_of_block(sample: Sample, course: Course, step: int, u: float) -> int:
    """By adding up the weights of all rows until they pass u."""
    n = len(sample.stop)
    weights = np.ones(n)
    if len(course.cumulative):
        weights = np.diff(course.cumulative[step // course.every], prepend=0.0)
        order = list(range(n))
        shares = weights / weights.sum()
    else:
        # every row once, then the first rows of the runs again, with the weight of the steps that lead to no row
        order = [*range(n), *sample.first]
        extra = 0.0 if course.fixed or step == 0 else course.length - 1
        shares = np.array([1.0] * n + [extra] * len(sample.first))
        shares /= shares.sum()
    total = 0.0
    for place, share in zip(order, shares, strict=True):
        total += share
        if u < total:
            return place
    return order[-1] if shares[-1] > 0 else n - 1


def figures(returns: FloatArray) -> dict[str, float]:
    """Of one path (steps,), from its equity curve."""
    equity = [1.0, *np.exp(np.cumsum(returns))]
    peaks = [max(equity[: t + 1]) for t in range(len(equity))]
    below = [e < p for e, p in zip(equity[1:], peaks[1:], strict=True)]
    spells = "".join("x" if b else " " for b in below).split()
    return {
        "log_return": math.log(equity[-1]),
        "max_drawdown": max(1 - e / p for e, p in zip(equity, peaks, strict=True)),
        "lowest": min(equity[1:]),
        "under_water": sum(below) / len(below),
        "longest_spell": max((len(s) for s in spells), default=0),
    }


def pick(cumulative: FloatArray, u: float) -> int:
    return min(int((np.asarray(cumulative) <= u).sum()), len(cumulative) - 1)


def regime_path(law: Law, start: Start, gjr: Sequence[Gjr], key: int, path: int, steps: int) -> FloatArray:
    """(steps, assets) of one path, assets side by side."""
    alpha, gamma, beta, omega = (np.array([getattr(fit, name) for fit in gjr]) for name in NAMES)
    state = pick(start.state[0], draw(key, 0, 2, path)[0] / 2**32)
    h, deviation, out = start.variance, start.deviation, []
    for step in range(start.burn_in + steps):
        to_state, to_row = draw(key, step // 2 + 1, 2, path)[2 * (step % 2) :][:2]
        state = pick(law.move[state], to_state / 2**32)
        z = law.residual[:, law.offset[state] : law.offset[state + 1]]
        z = z[:, to_row * z.shape[1] // 2**32]
        deviation = law.memory * deviation + np.sqrt(np.minimum(law.level[:, state] * h, law.cap)) * z
        y = np.sqrt(h) * z
        h = np.minimum(omega + (alpha + gamma * (y < 0)) * y**2 + beta * h, 400.0)
        out.append(law.mean + deviation)
    return np.array(out[start.burn_in :])


def log_forecast(terms: ScoreTerms, returns: FloatArray, key: int = 0, path: int = 0) -> list[float]:
    """ln F at each close of a path, the first before any return."""
    averages, out, noise = [float(x) for x in terms.start], [], 0.0
    for t in range(len(returns) + 1):
        if t:
            rate = float(returns[t - 1]) ** 2 * terms.steps_per_day
            averages = [d * x + (1 - d) * rate for d, x in zip(terms.decay, averages, strict=True)]
        if terms.noise_sd and t % terms.steps_per_day == 0:
            a, b, c, d = draw(key, t // terms.steps_per_day, 3, path)
            noise = terms.noise_sd * math.sqrt(-2 * math.log(1 - unit(a, b))) * math.cos(2 * math.pi * unit(c, d))
        linear = sum(b * math.log(max(x, 1e-8)) for b, x in zip(terms.slope, averages, strict=True))
        out.append(terms.intercept + linear + noise)
    return out


def liquidation(equity: list[float], funding: list[float], multiple: float, maintenance: float) -> float:
    """Probability of a liquidation on one path of equity, 1 = the start, with every logarithm taken."""
    sizes = [abs(after / before - 1) for before, after in pairwise(equity)]
    smaller = [min(pair) ** 2 / (1 - 2 / math.pi) for pair in pairwise(sizes)]
    variance, alive = sum(smaller) / max(1, len(smaller)), 1.0
    for t, size in enumerate(sizes):
        if t:
            variance = 0.94 * variance + 0.06 * smaller[t - 1]
        owed = multiple - 1 + multiple * sum(funding[: t + 1])
        barrier = owed / (multiple * (1 - maintenance))
        if barrier <= 0:
            continue
        if min(equity[t], equity[t + 1]) <= barrier:
            return 1.0
        end = equity[t] if size**2 > 16 * variance else equity[t + 1]
        if variance > 0:
            alive *= 1 - math.exp(-2 * math.log(equity[t] / barrier) * math.log(end / barrier) / variance)
    return 1 - alive
