"""Reverse stress: not what a shock does, but how large it must be to break a limit.

A search by halving over one size, with the same random numbers at every size: then the figure is a function of the size
and nothing else, and the answer is exact for these paths. What it would be for other paths is said by their error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from models.backtest.plain import as_plain
from models.stress.conditions import Conditions
from models.stress.figures import estimates
from models.stress.setup import Setup
from models.stress.simulation import STRATEGIES, Control, Inject, simulate_vault

SMALLEST_SHARE = 1e-9  # of depth: a scaled shock thins a market out, it does not close it


@dataclass(frozen=True)
class Breaking:
    """Answer of a search.

    Parameters
    ----------
    size : smallest size found at which the figure is above `limit`, to within `tolerance`; None = not within bounds
    holds_at : largest size tried at which it is not; None if the limit is broken at the lowest size already
    figure : the figure at `size`, or at the highest size where it never breaks
    is_monotone : False = a larger size gave a smaller figure somewhere on the way, so a smaller breaking size may exist
    tried : (size, figure) in the order of the search
    reason : in words, where there is no size
    """

    limit: float
    size: float | None
    holds_at: float | None
    figure: float
    tolerance: float
    is_monotone: bool
    tried: tuple[tuple[float, float], ...]
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = as_plain(self)
        return out


def smallest_breaking(
    figure: Callable[[float], float], limit: float, lowest: float, highest: float, tolerance: float
) -> Breaking:
    """Smallest x in [lowest, highest] with figure(x) > limit, to within `tolerance`, for a figure that does not fall.

    Notes
    -----
    2 + log2((highest - lowest) / tolerance) values of the figure. The true threshold lies in (holds_at, size].

    Raises
    ------
    ValueError
        Bounds out of order, a tolerance that is not above 0, or a figure that is not finite.
    """
    if not (math.isfinite(lowest) and math.isfinite(highest) and lowest < highest and tolerance > 0.0):
        raise ValueError(f"bounds {lowest} to {highest} with tolerance {tolerance} are nothing to search in")
    tried: list[tuple[float, float]] = []

    def breaks(size: float) -> bool:
        value = float(figure(size))
        if not math.isfinite(value):
            raise ValueError(f"the figure is {value} at size {size}: there is nothing to compare with the limit")
        tried.append((size, value))
        return value > limit

    if breaks(lowest):
        return _answer(limit, lowest, None, tolerance, tried, None)
    if not breaks(highest):
        return _answer(limit, None, highest, tolerance, tried, f"not within bounds: it holds up to {highest}")
    safe, broken = lowest, highest
    while broken - safe > tolerance:
        middle = safe + (broken - safe) / 2.0
        if not safe < middle < broken:
            break
        if breaks(middle):
            broken = middle
        else:
            safe = middle
    return _answer(limit, broken, safe, tolerance, tried, None)


def reverse_stress(
    setup: Setup,
    paths: int,
    seed: int,
    sized: Callable[[float], Inject],
    name: str,
    limit: float,
    *,
    lowest: float = 0.0,
    highest: float = 1.0,
    tolerance: float = 0.01,
    strategy: str = "policy",
    control: Control | None = None,
) -> Breaking:
    """Smallest size of a shock that brings a figure of a vault above a limit.

    Parameters
    ----------
    sized : size -> conditions of given paths, such as `scaled_by` of a scenario
    name : of `figures.estimates`, one that grows with losses: es_99, max_drawdown_95, ruin_probability ...
    strategy : hold, policy or mix
    control : `is_cancelled` is asked as always; progress is that of each run

    Raises
    ------
    ValueError
        No such strategy or figure, or too few paths for it.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy}: one of {', '.join(STRATEGIES)}")

    def figure(size: float) -> float:
        table = simulate_vault(setup, paths, seed, sized(size), control).tables[strategy]
        found = estimates(table, setup.ruin_loss)
        if name not in found:
            raise ValueError(f"figure {name}: one of {', '.join(found)}")
        value = found[name].value
        if value is None:
            raise ValueError(f"figure {name}: {found[name].reason}")
        return value

    return smallest_breaking(figure, limit, lowest, highest, tolerance)


def scaled_by(inject: Inject) -> Callable[[float], Inject]:
    """The same shocks at the same moments, `size` times as large; 0 = nothing happens.

    Log returns, funding and what multipliers exceed 1 by grow in proportion; depth is taken to the power of the size.
    Halts and stale scores have no size and stay from any size above 0 on.
    """

    def at(size: float) -> Inject:
        return lambda first, paths: _scaled(inject(first, paths), size)

    return at


def _scaled(one: Conditions, size: float) -> Conditions:
    if not size >= 0.0:
        raise ValueError(f"a shock has a size of 0 or more, not {size}")
    return replace(
        one,
        log_return=one.log_return * size,
        sigma_multiplier=1.0 + (one.sigma_multiplier - 1.0) * size,
        half_spread_multiplier=1.0 + (one.half_spread_multiplier - 1.0) * size,
        depth_share=np.maximum(one.depth_share**size, SMALLEST_SHARE),
        halted=one.halted & (size > 0.0),
        score_stale=one.score_stale & (size > 0.0),
        funding=one.funding * size,
    )


def _answer(
    limit: float,
    size: float | None,
    holds_at: float | None,
    tolerance: float,
    tried: list[tuple[float, float]],
    reason: str | None,
) -> Breaking:
    by_size = [value for _, value in sorted(tried)]
    is_monotone = all(after >= before for before, after in pairwise(by_size))
    known: dict[float | None, float] = dict(tried)
    at = known[holds_at if size is None else size]
    return Breaking(limit, size, holds_at, at, tolerance, is_monotone, tuple(tried), reason)
