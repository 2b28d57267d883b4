"""Whether a row's inputs were seen before: its distance from what training saw, and the input that is furthest out.

Distance is Mahalanobis's, on inputs that compare across series (ratios, shares, standardised levels), with a shrunk
covariance (Ledoit & Wolf 2004). A row further out than every row of the training pool is called novel: the models
extrapolate there, and their past errors say little about it. It is a warning, not a silence: crises look like this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from models.volatility.design import build_design
from models.volatility.panel import Panel

FloatArray = NDArray[np.float64]

# Of the design; what is left out has a level of its own in each series (log variances) or comes from the calendar.
INPUTS = (
    "vol_of_vol", "slope_short", "slope_long", "shock_size", "standard_level", "drawdown", "parkinson", "rv_6h",
    "rv_12h", "neg_share", "jump_share", "ema_ratio", "vwap_gap", "volume_z", "premium", "funding_rate", "market_mean",
    "market_max", "market_week",
)  # fmt: skip
USUAL_SHARE = 0.99  # of the training rows: up to their distance a row is as familiar as any
PRESENT_SHARE = 0.8  # of the training rows in which an input must be there to be looked at
MIN_ROWS = 500
MAX_ROWS = 40_000  # newest rows of the pool


@dataclass(frozen=True, slots=True)
class Seen:
    """What training saw. `names` (k,) inputs that are looked at, `centre`, `spread` (k,), `covariance` (k, k) of the
    standardised inputs; `usual`, `farthest`: distance of the 99 % quantile and of the furthest of its `rows`."""

    names: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    usual: float
    farthest: float
    rows: int


@dataclass(frozen=True, slots=True)
class Novelty:
    """`familiarity` in (0, 1]: 1 up to the usual distance, then usual / distance. `is_novel`: further out than all of
    training. `furthest`: name and value of the input that adds most to the distance."""

    familiarity: float
    is_novel: bool
    furthest: tuple[str, float]

    def told(self, seen: Seen) -> str:
        name, value = self.furthest
        return f"not seen before: further out than all {seen.rows:,} rows of training, most by {name} at {value:.3g}"


def fit_seen(panel: Panel, known_until: np.datetime64) -> Seen | None:
    """What the rows of a panel up to `known_until` look like: those in which every input is there that usually is.

    None under 500 of them.
    """
    rows, moments = [], []
    for series, grid in panel.grids.items():
        stop = grid.rows_until(known_until)
        there = np.isfinite(grid.rv[:stop])
        rows.append(_inputs(panel, series, slice(0, stop))[there])
        moments.append(grid.as_of[:stop][there])
    inputs = np.concatenate(rows)[np.argsort(np.concatenate(moments), kind="stable")[-MAX_ROWS:]]
    if len(inputs) < MIN_ROWS:
        return None
    used = np.isfinite(inputs).mean(axis=0) >= PRESENT_SHARE
    whole = inputs[np.isfinite(inputs[:, used]).all(axis=1)]
    used &= np.array([column.std() > 1e-12 if use else False for column, use in zip(whole.T, used, strict=True)])
    if len(whole) < MIN_ROWS or not used.any():
        return None
    known = whole[:, used]
    centre, spread = known.mean(axis=0), known.std(axis=0)
    standard = (known - centre) / spread
    covariance = ledoit_wolf(standard, assume_centered=True)[0]
    distances = np.sqrt(np.einsum("ij,jk,ik->i", standard, np.linalg.inv(covariance), standard))
    return Seen(
        tuple(name for name, use in zip(INPUTS, used, strict=True) if use),
        tuple(centre.tolist()),
        tuple(spread.tolist()),
        tuple(tuple(row) for row in covariance.tolist()),
        float(np.quantile(distances, USUAL_SHARE)),
        float(distances.max()),
        len(known),
    )


def read_seen(state: dict[str, Any] | None) -> Seen | None:
    """From its form in JSON, where tuples have become lists."""
    if state is None:
        return None
    tuples = {name: tuple(state[name]) for name in ("names", "centre", "spread")}
    return Seen(**{**state, **tuples, "covariance": tuple(tuple(row) for row in state["covariance"])})


def novelty(seen: Seen, panel: Panel, series: str, row: int) -> Novelty | None:
    """How far one row of a panel lies from what training saw; None where fewer than half of its inputs are there.

    The distance is that of the inputs that are there, scaled to their full number: a gap neither adds to it nor
    stands for a usual value, which would be far out beside inputs that it moves with.
    """
    places = [INPUTS.index(name) for name in seen.names]
    values = _inputs(panel, series, slice(row, row + 1))[0, places]
    there = np.isfinite(values)
    if 2 * there.sum() < len(values):
        return None
    standard = ((values - np.array(seen.centre)) / np.array(seen.spread))[there]
    parts = standard * np.linalg.solve(np.array(seen.covariance)[np.ix_(there, there)], standard)
    distance = math.sqrt(max(float(parts.sum()), 0.0) * len(values) / there.sum())
    place = int(np.flatnonzero(there)[np.argmax(parts)])
    familiarity = 1.0 if distance <= seen.usual else seen.usual / distance
    return Novelty(familiarity, distance > seen.farthest, (seen.names[place], float(values[place])))


def _inputs(panel: Panel, series: str, rows: slice) -> FloatArray:
    """(rows, all inputs), NaN where one is missing. A market of one series is no market."""
    design = build_design(panel)
    found = design.rows[series][rows, [design.names.index(name) for name in INPUTS]].astype(float)
    found[~np.isfinite(found)] = np.nan
    alone = np.isnan(found[:, INPUTS.index("market_mean")])
    market = [place for place, name in enumerate(INPUTS) if name.startswith("market_")]
    found[np.ix_(alone, market)] = np.nan
    return found
