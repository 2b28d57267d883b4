"""Dated events as scenarios: what they did, where the figures are from, and how a path goes through them.

A scenario speaks the language of shocks and compiles to the same conditions, at a step that is chosen instead of drawn.
Where a sample covers the event, the recorded returns of all legs take the place of its figures. The events themselves
are in `scenarios_coins.py` and `scenarios_currencies.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from models.stress.conditions import Conditions
from models.stress.effects import WORTH, Channel, Effect, Event, exactly
from models.stress.legs import LegKind, Market
from models.stress.shock_program import compile_events, conditions_of

FloatArray = NDArray[np.float64]
DateArray = NDArray[np.datetime64]

LEAST_COVERAGE = 0.8  # of the steps of a window; holidays are no holes
_IN_RETURNS = (*WORTH, Channel.VOLATILITY)  # what recorded returns already hold


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure: what it says, who said it, and the day of the rate or of the report."""

    says: str
    source: str
    day: date


@dataclass(frozen=True)
class Scenario:
    """One event.

    Parameters
    ----------
    name, title : short name for requests, and in words
    start, end : first and last day, UTC; `effects` count their delays from the first
    effects : what it did
    figures : where the sizes are from
    assumed : sizes that nobody published, in words; empty = none
    """

    name: str
    title: str
    start: date
    end: date
    effects: tuple[Effect, ...]
    figures: tuple[Figure, ...]
    assumed: str = ""

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ValueError(f"{self.name} ends on {self.end}, before it starts on {self.start}")
        if not self.effects or not self.figures:
            raise ValueError(f"{self.name} needs an effect and a figure with its source")

    @property
    def days(self) -> int:
        """Days from the first to the last, both counted."""
        return (self.end - self.start).days + 1

    def effects_on(self, everywhere: bool) -> tuple[Effect, ...]:
        """Its effects; `everywhere`: what one country or issuer met, all meet."""
        return tuple(effect.everywhere() for effect in self.effects) if everywhere else self.effects

    def struck(self, market: Market, everywhere: bool = False) -> tuple[str, ...]:
        """Symbols of the legs whose worth it changes; none = the vault holds nothing of what fell."""
        effects = self.effects_on(everywhere)
        return tuple(leg.symbol for leg in market.legs if any(effect.strikes(leg) for effect in effects))


@dataclass(frozen=True)
class Replay:
    """A scenario made ready for a market.

    Parameters
    ----------
    scenario, market : what goes through what
    recorded : (rows, assets) log returns of the window, or None where its figures are used
    reason : why the one or the other, in words
    everywhere : what happened to one country's money or to one stable coin happens to all
    """

    scenario: Scenario
    market: Market
    recorded: FloatArray | None
    reason: str
    everywhere: bool = False

    @property
    def form(self) -> str:
        """`recorded` or `parametrised`."""
        return "parametrised" if self.recorded is None else "recorded"

    def event(self, at_step: int) -> Event:
        """What is left to do for the kernel of shocks: all effects, or those that recorded returns do not hold."""
        effects = self.scenario.effects_on(self.everywhere)
        if self.recorded is not None:
            effects = tuple(effect for effect in effects if effect.channel not in _IN_RETURNS)
        return Event(self.scenario.name, 0.0, at_step, effects)

    def conditions(self, paths: int, steps: int, at_step: int = 0) -> Conditions:
        """Conditions of paths that meet the event at `at_step`, all in the same way.

        Recorded returns are added to what the generator draws, so its noise of usual days stays on them. Where the path
        ends before the event does, the rest of it is cut off. An outage shorter than a step may stop no step.

        Raises
        ------
        ValueError
            There is no path or no step, or the event would begin outside the path.
        """
        if not 0 <= at_step < steps:
            raise ValueError(
                f"{self.scenario.name} must begin within the path: at_step 0 to {steps - 1}, got {at_step}"
            )
        conditions = conditions_of(compile_events([self.event(at_step)], self.market, 0), paths, steps)
        if self.recorded is not None:
            rows = self.recorded[: steps - at_step]
            conditions.log_return[:, at_step : at_step + len(rows)] += rows
        return conditions


def replay(
    scenario: Scenario,
    market: Market,
    returns: FloatArray | None = None,
    dates: DateArray | None = None,
    everywhere: bool = False,
) -> Replay:
    """Make a scenario ready: by the joint returns of its window where the sample has them, else by its figures.

    Parameters
    ----------
    scenario, market : see `Replay`
    returns : (n, assets) log returns a step of the market's legs, oldest first, NaN = missing; None = no sample
    dates : (n,) moments of the rows; a row belongs to its UTC day
    everywhere : see `Replay`; then the figures are used, for the sample knows only what happened where

    Raises
    ------
    ValueError
        Returns and dates do not fit each other or the market, or dates do not ascend.

    Notes
    -----
    The sample is used if it reaches from before the window to its end, no leg misses a return in it, and it has at
    least 80 % of the steps that the window should have.
    """

    def parametrised(reason: str) -> Replay:
        return Replay(scenario, market, None, reason, everywhere)

    if everywhere:
        return parametrised("what happened in one place is asked for everywhere")
    if returns is None or dates is None:
        return parametrised("there is no sample")
    if returns.ndim != 2 or returns.shape[1] != len(market.legs) or dates.shape != returns.shape[:1]:
        raise ValueError(
            f"returns must be (n, {len(market.legs)}) with n dates, got {returns.shape} and {dates.shape}: one column "
            "per leg of the market"
        )
    if (np.diff(dates) <= np.timedelta64(0)).any():
        raise ValueError("dates must ascend: sort the sample and drop rows that appear twice")
    day = dates.astype("datetime64[D]")
    start, end = np.datetime64(scenario.start), np.datetime64(scenario.end)
    if len(day) == 0 or day[0] >= start or day[-1] < end:
        return parametrised(f"the sample does not reach from before {scenario.start} to {scenario.end}")
    rows = returns[(day >= start) & (day <= end)]
    missing = np.asarray(~np.isfinite(rows).all(axis=0))
    if missing.any():
        names = ", ".join(leg.symbol for leg, lacks in zip(market.legs, missing, strict=True) if lacks)
        return parametrised(f"{names} has not all returns of the window")
    expected = scenario.days * market.steps_per_day
    if len(rows) < LEAST_COVERAGE * expected:
        return parametrised(f"the sample has {len(rows)} of about {expected:.0f} steps of the window")
    return Replay(scenario, market, rows.copy(), f"the sample has all {len(rows)} steps of the window")


def fall(share: float, *only: str, day: float = 0.0, over_days: float = 0.0, half_life_days: float = math.inf,
         kind: LegKind = LegKind.COIN, besides: tuple[str, ...] = ()) -> Effect:  # fmt: skip
    """Legs lose a share of their worth (negative: they gain it); named ones, or all of a kind."""
    return Effect(
        Channel.FALL, exactly(share), kind, only, besides, day, over_days=over_days, half_life_days=half_life_days
    )


def dollar(rise: float, currency: str, day: float = 0.0, over_days: float = 0.0,
           half_life_days: float = math.inf) -> Effect:  # fmt: skip
    """The dollar rises by a share in one money (negative: it falls)."""
    return Effect(
        Channel.DOLLAR,
        exactly(rise),
        LegKind.FX,
        (currency,),
        delay_days=day,
        over_days=over_days,
        half_life_days=half_life_days,
    )


def volatile(multiplier: float, half_life_days: float, day: float = 0.0) -> Effect:
    """All returns are multiplied, less and less."""
    return Effect(Channel.VOLATILITY, exactly(multiplier), delay_days=day, half_life_days=half_life_days)


def spread(multiplier: float, days: float, day: float = 0.0) -> Effect:
    """Half-spreads are a multiple of the usual ones for some days."""
    return Effect(Channel.HALF_SPREAD, exactly(multiplier), delay_days=day, days=(days, days))


def depth(share: float, days: float, day: float = 0.0) -> Effect:
    """Depth is a share of the usual one for some days."""
    return Effect(Channel.DEPTH, exactly(share), delay_days=day, days=(days, days))


def halted(days: float, day: float = 0.0) -> Effect:
    """Nothing can be moved."""
    return Effect(Channel.HALT, delay_days=day, days=(days, days))


def blind(days: float, day: float = 0.0) -> Effect:
    """Prices are not what they seem, or none come: the score stays what it was."""
    return Effect(Channel.STALE, delay_days=day, days=(days, days))


def funding(per_8_hours: float, days: float, day: float = 0.0) -> Effect:
    """Long leveraged legs pay this share of their notional every 8 hours (negative: they receive it)."""
    return Effect(Channel.FUNDING, exactly(per_8_hours), delay_days=day, days=(days, days))
