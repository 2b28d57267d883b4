"""What one event does: effects with a size, a delay, a length and a way of fading. The words of shocks and scenarios.

Sizes are laws, because a shock comes in all sizes; in a scenario the law is one number. How effects are filled into
paths is in `shock_kernels.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum

from models.stress.legs import Leg, LegKind, Market

NORMAL_95 = 1.6448536269514722


class LawKind(IntEnum):
    """UNIFORM on [a, b]. LOGNORMAL: a exp(b Z). LOMAX: a + b L, P(L > x) = (1 + x)^-c (Pareto of the second kind).
    SIGNED: uniform on [a, b], and minus that as often."""

    UNIFORM = 0
    LOGNORMAL = 1
    LOMAX = 2
    SIGNED = 3


@dataclass(frozen=True, slots=True)
class Law:
    """Law of a size with its two or three numbers; make one by the functions below."""

    kind: LawKind
    a: float
    b: float
    c: float = 0.0

    def range(self) -> tuple[float, float]:
        """Least and largest size that can come; inf where there is no largest one."""
        if self.kind is LawKind.LOGNORMAL:
            return 0.0, math.inf
        if self.kind is LawKind.LOMAX:
            return self.a, math.inf
        return (-self.b if self.kind is LawKind.SIGNED else self.a), self.b


def uniform(low: float, high: float) -> Law:
    """Uniform between two numbers."""
    return Law(LawKind.UNIFORM, low, high)


def exactly(size: float) -> Law:
    """Always this size."""
    return Law(LawKind.UNIFORM, size, size)


def lognormal(median: float, q95: float) -> Law:
    """Lognormal by its median and the size that one in twenty exceeds."""
    return Law(LawKind.LOGNORMAL, median, math.log(q95 / median) / NORMAL_95)


def lomax(least: float, scale: float, alpha: float) -> Law:
    """At least `least`, with a Pareto tail of index `alpha` beyond."""
    return Law(LawKind.LOMAX, least, scale, alpha)


def signed(low: float, high: float) -> Law:
    """Uniform between two sizes, of either sign."""
    return Law(LawKind.SIGNED, low, high)


class Channel(IntEnum):
    """What an effect changes.

    SIGMAS: worth of legs, size x their daily sigma as a fall in log. FALL: worth of legs falls by this share of itself.
    DOLLAR: the dollar rises by this share in their money, which is worth 1 / (1 + size) then. VOLATILITY, HALF_SPREAD:
    multipliers. DEPTH: share of usual depth. HALT, STALE: no size. FUNDING: share of notional per 8 hours.
    """

    SIGMAS = 0
    FALL = 1
    DOLLAR = 2
    VOLATILITY = 3
    HALF_SPREAD = 4
    DEPTH = 5
    HALT = 6
    STALE = 7
    FUNDING = 8


WORTH = (Channel.SIGMAS, Channel.FALL, Channel.DOLLAR)
_BOUNDS = {
    Channel.SIGMAS: (-math.inf, math.inf, "a number of daily sigmas"),
    Channel.FALL: (-math.inf, math.nextafter(1.0, 0.0), "a share below 1 (negative = a rise)"),
    Channel.DOLLAR: (math.nextafter(-1.0, 0.0), math.inf, "a share above -1 (negative = the dollar falls)"),
    Channel.VOLATILITY: (1.0, math.inf, "a multiplier of at least 1"),
    Channel.HALF_SPREAD: (1.0, math.inf, "a multiplier of at least 1"),
    Channel.DEPTH: (math.nextafter(0.0, 1.0), 1.0, "a share above 0 and at most 1"),
    Channel.HALT: (0.0, 0.0, "left out: it has none"),
    Channel.STALE: (0.0, 0.0, "left out: it has none"),
    Channel.FUNDING: (-1.0, 1.0, "a share of notional per 8 hours, in [-1, 1]"),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that an event does.

    Parameters
    ----------
    channel, size : what it changes and by how much. A negative FALL or DOLLAR is a rise of the leg
    kind : of legs that are struck, for the channels of worth
    only : symbols or currencies of the struck legs of that kind; () = all of them
    besides : symbols or currencies that are not struck
    delay_days : after the event
    days : (least, most) length; the channels of worth have none. All effects of an event share one draw of how long
    over_days : the effect arrives in equal parts over this time; 0 = in one step
    half_life_days : of what is left of it; inf = it stays. Only for worth and volatility
    """

    channel: Channel
    size: Law = Law(LawKind.UNIFORM, 0.0, 0.0)
    kind: LegKind = LegKind.COIN
    only: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    delay_days: float = 0.0
    days: tuple[float, float] = (0.0, 0.0)
    over_days: float = 0.0
    half_life_days: float = math.inf

    def __post_init__(self) -> None:
        low, high, words = _BOUNDS[self.channel]
        least, most = self.size.range()
        if not low <= least <= most <= high:
            raise ValueError(f"the size of {self.channel.name} must be {words}, got {least} to {most}")
        if not 0.0 <= self.days[0] <= self.days[1] < math.inf:
            raise ValueError(f"days of {self.channel.name} must be (least, most) from 0, got {self.days}")
        if not (0.0 <= self.delay_days < math.inf and 0.0 <= self.over_days < math.inf and self.half_life_days > 0.0):
            raise ValueError(
                f"delay and over_days of {self.channel.name} must be from 0 and the half-life above it, got "
                f"{self.delay_days}, {self.over_days}, {self.half_life_days}"
            )

    def strikes(self, leg: Leg) -> bool:
        """Whether the worth of this leg is changed."""
        if self.channel not in WORTH or leg.kind is not self.kind:
            return False
        names = {leg.symbol.upper(), leg.currency.upper()} - {""}
        if names & {name.upper() for name in self.besides}:
            return False
        return not self.only or bool(names & {name.upper() for name in self.only})

    def weights(self, market: Market) -> tuple[float, ...]:
        """Of every leg: what the size is multiplied by."""
        unit = [leg.sigma_daily if self.channel is Channel.SIGMAS else 1.0 for leg in market.legs]
        return tuple(weight if self.strikes(leg) else 0.0 for leg, weight in zip(market.legs, unit, strict=True))

    def everywhere(self) -> Effect:
        """What one country's money or one stable coin met, all meet; one coin stays one coin."""
        return self if self.kind is LegKind.COIN else replace(self, only=())


@dataclass(frozen=True, slots=True)
class Event:
    """Something that comes by chance at a rate, or once at a step; each event of a name has draws of its own.

    Parameters
    ----------
    name : of its stream of random numbers
    rate_per_year : of a Poisson process; 0 = not by chance
    at_step : where it comes once; negative = not
    effects : what it does
    """

    name: str
    rate_per_year: float
    at_step: int
    effects: tuple[Effect, ...]

    def __post_init__(self) -> None:
        if (self.rate_per_year > 0.0) and self.at_step >= 0:
            raise ValueError(f"event {self.name} comes by chance or at a step, not both: make two of it")
