"""Shocks by name: the defaults, and how a request overrides their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from models.backtest.plain import as_plain
from models.stress.effects import Channel
from models.stress.shock_base import Shock, Thin
from models.stress.shocks import (
    Depeg,
    Devaluation,
    FundingSqueeze,
    Gap,
    Liquidity,
    Outage,
    StreetPremium,
    VolatilitySpike,
)

DEFAULT_SHOCKS: tuple[Shock, ...] = (
    Gap(),
    Devaluation(),
    VolatilitySpike(),
    Liquidity(),
    FundingSqueeze(),
    Depeg(),
    StreetPremium(),
    Outage(),
    # Days on which an exchange had no hourly bars: 4.4 a year, 27 of 28 between one and ten hours long.
    Outage("feed_outage", 4.0, (1 / 24, 10 / 24), Channel.STALE),
    # A source that may not quote what is paid, from the day of its cap to the day it closed, is 17 days of nothing new.
    Outage("capped_source", 0.2, (2.0, 17.0), Channel.STALE),
    Outage("keeper_outage", 6.0, (2 / 24, 24 / 24), Channel.HALT),
)

# Halves of the liquidity shock, to be asked for by name; with the default ones they would count twice.
HALVES: tuple[Shock, ...] = (
    Liquidity("spread_widening", 2.0, Thin(depth=(1.0, 1.0))),
    Liquidity("liquidity_drought", 2.0, Thin(half_spread=(1.0, 1.0))),
)

CATALOGUE: dict[str, Shock] = {shock.name: shock for shock in (*DEFAULT_SHOCKS, *HALVES)}
_FIXED = ("name", "channel")

T = TypeVar("T", bound=Shock | Thin)


def shock_named(name: str, overrides: Mapping[str, Any] | None = None) -> Shock:
    """A shock of the catalogue with some fields changed.

    Parameters
    ----------
    name : of the catalogue
    overrides : field to value; of the thin market after a gap a mapping of its fields, or None for none

    Raises
    ------
    ValueError
        There is no such shock or field, or a value is outside its range.
    """
    if name not in CATALOGUE:
        raise ValueError(f"there is no shock {name!r}: one of {', '.join(sorted(CATALOGUE))}")
    return _changed(CATALOGUE[name], name, overrides or {})


def fields_of(shock: Shock) -> dict[str, Any]:
    """What can be changed of a shock and what it is, JSON-able: `shock_named(shock.name, fields_of(shock))` makes it
    again."""
    return {field.name: as_plain(getattr(shock, field.name)) for field in fields(shock) if field.name not in _FIXED}


def _changed(one: T, name: str, overrides: Mapping[str, Any]) -> T:
    known = [field.name for field in fields(one) if field.name not in _FIXED]
    values: dict[str, Any] = {}
    for field, value in overrides.items():
        if field not in known:
            raise ValueError(f"{name} has no field {field!r} to be changed: one of {', '.join(known)}")
        present = getattr(one, field)
        if isinstance(value, Mapping) and isinstance(present, Thin):
            values[field] = _changed(present, f"{name}.{field}", value)
        else:
            values[field] = _plain(f"{name}.{field}", present, value)
    return replace(one, **values)


def _plain(field: str, present: Any, value: Any) -> Any:
    if isinstance(present, tuple):
        if isinstance(value, list | tuple) and len(value) == 2 and all(_is_number(item) for item in value):
            return _real(field, value[0]), _real(field, value[1])
        raise ValueError(f"{field} must be two numbers [least, most], got {value!r}")
    if isinstance(present, Thin):
        if value is None:
            return None
        raise ValueError(f"{field} must be its fields by name, or null for none, got {value!r}")
    if not _is_number(value):
        raise ValueError(f"{field} must be a number, got {value!r}")
    return _real(field, value)


def _real(field: str, value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of over 300 digits, which JSON allows
        raise ValueError(f"{field} must be a number below 1e308, got one of {value.bit_length()} bits") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
