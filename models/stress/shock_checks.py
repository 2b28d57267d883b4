"""Checks of the fields of shocks; every message names the field and the way out."""

from __future__ import annotations

import math

MAX_RATE_PER_YEAR = 366.0
MAX_DAYS = 3650.0


def rate(shock: str, value: float) -> None:
    """A number of events a year that a path can hold."""
    if not 0.0 <= value <= MAX_RATE_PER_YEAR:
        raise ValueError(
            f"{shock}.rate_per_year must lie in [0, {MAX_RATE_PER_YEAR:g}], got {value}: 0 switches the shock off"
        )


def number(shock: str, field: str, value: float, low: float, high: float) -> None:
    """A number in [low, high]."""
    if not low <= value <= high:
        raise ValueError(f"{shock}.{field} must lie in [{low:g}, {high:g}], got {value}")


def span(shock: str, field: str, value: tuple[float, float], low: float, high: float) -> None:
    """(least, most) within [low, high]."""
    if len(value) != 2 or not low <= value[0] <= value[1] <= high:
        raise ValueError(
            f"{shock}.{field} must be (least, most) within [{low:g}, {high:g}], got {value}: the smaller one first, or "
            "twice the same"
        )


def days(shock: str, field: str, value: tuple[float, float]) -> None:
    """(least, most) length in days."""
    span(shock, field, value, 0.0, MAX_DAYS)


def half_life(shock: str, value: float) -> None:
    """A half-life in days; inf = what has come stays."""
    if not 0.0 < value <= MAX_DAYS and value != math.inf:
        raise ValueError(
            f"{shock}.half_life_days must lie in (0, {MAX_DAYS:g}], got {value}: infinity for what does not fade"
        )
