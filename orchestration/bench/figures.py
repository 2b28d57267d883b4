"""How a figure is written: a number with its unit, and the few statistics that the bench takes of a handful of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Figure = dict[str, Any]
_DIGITS = 4  # significant; the machine is not steadier than that


def figure(value: float, unit: str) -> Figure:
    """One number and its unit."""
    return {"value": rounded(value), "unit": unit}


def figures(values: Mapping[str, float], unit: str) -> Figure:
    """Several numbers of one unit, by name."""
    return {"unit": unit, "values": {name: rounded(value) for name, value in values.items()}}


def series(values: Sequence[float], unit: str) -> Figure:
    """The median of repeated measurements, and all of them: their spread is how noisy the machine was."""
    return {**figure(median(values), unit), "runs": [rounded(value) for value in values]}


def best(values: Sequence[float], unit: str) -> Figure:
    """The smallest of many short measurements, and their median: other programs can only make one longer."""
    return {**figure(min(values), unit), "median": rounded(median(values)), "runs": len(values)}


def ratio(value: float, of: float) -> Figure:
    """How many times `of` a value is."""
    return figure(value / of if of else math.nan, "times")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a `share` of the others does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def rounded(value: float) -> float | int | None:
    """Four significant digits; whole numbers stay whole, what is not a number is null."""
    if not math.isfinite(value):
        return None
    if value == int(value) or abs(value) >= 10**_DIGITS:
        return round(value)
    return float(f"{value:.{_DIGITS}g}")
