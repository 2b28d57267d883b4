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
MIN_ROWS = 500
MAX_ROWS = 40_000  # newest rows of the pool


@dataclass(frozen=True, slots=True)
class Seen:
    """What training saw. `names` (k,) inputs that were there at all, `centre`, `spread` (k,), `precision` (k, k) of the
    standardised inputs; `usual`, `farthest`: distance of the 99 % quantile and of the furthest of its `rows`."""

    names: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
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
    """What the rows of a panel up to `known_until` look like; None under 500 of them.

    A missing input counts as usual: what is missing is told elsewhere.
    """
    design = build_design(panel)
    places = [design.names.index(name) for name in INPUTS]
    rows, moments = [], []
    for series, grid in panel.grids.items():
        stop = grid.rows_until(known_until)
        there = np.isfinite(grid.rv[:stop])
        rows.append(design.rows[series][:stop, places][there].astype(float))
        moments.append(grid.as_of[:stop][there])
    newest = np.argsort(np.concatenate(moments), kind="stable")[-MAX_ROWS:]
    inputs = np.concatenate(rows)[newest]
    inputs[~np.isfinite(inputs)] = np.nan
    known = np.isfinite(inputs).sum(axis=0) >= MIN_ROWS
    if len(inputs) < MIN_ROWS or not known.any():
        return None
    inputs = inputs[:, known]
    centre, spread = np.nanmean(inputs, axis=0), np.nanstd(inputs, axis=0)
    moving = spread > 1e-12  # an input that stood still has no distance
    names = tuple(name for name, use in zip(np.array(INPUTS)[known], moving, strict=True) if use)
    centre, spread = centre[moving], spread[moving]
    standard = np.nan_to_num((inputs[:, moving] - centre) / spread)
    precision = np.linalg.inv(ledoit_wolf(standard, assume_centered=True)[0])
    distances = np.sqrt(np.einsum("ij,jk,ik->i", standard, precision, standard))
    return Seen(
        tuple(str(name) for name in names),
        tuple(centre.tolist()),
        tuple(spread.tolist()),
        tuple(tuple(row) for row in precision.tolist()),
        float(np.quantile(distances, USUAL_SHARE)),
        float(distances.max()),
        len(inputs),
    )


def read_seen(state: dict[str, Any] | None) -> Seen | None:
    """From its form in JSON, where tuples have become lists."""
    if state is None:
        return None
    tuples = {name: tuple(state[name]) for name in ("names", "centre", "spread")}
    return Seen(**{**state, **tuples, "precision": tuple(tuple(row) for row in state["precision"])})


def novelty(seen: Seen, panel: Panel, series: str, row: int) -> Novelty:
    """How far one row of a panel lies from what training saw."""
    design = build_design(panel)
    values = np.array([design.rows[series][row, design.names.index(name)] for name in seen.names], dtype=float)
    standard = np.nan_to_num((values - np.array(seen.centre)) / np.array(seen.spread), posinf=0.0, neginf=0.0)
    parts = standard * (np.array(seen.precision) @ standard)  # they sum to the squared distance
    distance = math.sqrt(max(float(parts.sum()), 0.0))
    place = int(np.argmax(parts))
    familiarity = 1.0 if distance <= seen.usual else seen.usual / distance
    return Novelty(familiarity, distance > seen.farthest, (seen.names[place], float(values[place])))
