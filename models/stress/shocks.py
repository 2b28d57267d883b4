"""Named shocks that come by chance, each a frozen set of numbers that can be overridden, and their injection.

Times are those of a Poisson process that knows nothing of the path. Defaults and where they are from: `docs/stress.md`.
`shock_catalogue.py` finds shocks by name; events that have a date are in `scenarios.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.stress import shock_checks as checks
from models.stress.conditions import Conditions
from models.stress.effects import Channel, Effect, Event, lognormal, lomax, signed, uniform
from models.stress.legs import LegKind, Market
from models.stress.shock_base import USUALLY_THIN, Shock, Span, Thin
from models.stress.shock_kernels import Program
from models.stress.shock_program import compile_events, conditions_of


@dataclass(frozen=True)
class Gap(Shock):
    """All coins fall within one step, by the same number of their own daily sigmas, and the market is thin after it.

    Size: `least_sigmas` + `tail_sigmas` L, L Lomax of index `alpha`.
    """

    name: str = "gap"
    rate_per_year: float = 2.0
    least_sigmas: float = 5.0
    tail_sigmas: float = 10.0
    alpha: float = 3.0
    thin: Thin | None = USUALLY_THIN

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number(self.name, "least_sigmas", self.least_sigmas, 0.0, 100.0)
        checks.number(self.name, "tail_sigmas", self.tail_sigmas, 0.0, 100.0)
        checks.number(self.name, "alpha", self.alpha, 1.0, 100.0)
        if self.thin is not None:
            self.thin.check(f"{self.name}.thin")

    def events(self, market: Market) -> tuple[Event, ...]:
        coins = market.of_kind(LegKind.COIN)
        if not coins:
            return ()
        without = [leg.symbol for leg in coins if leg.sigma_daily == 0.0]
        if without:
            raise ValueError(f"{self.name} is sized in daily sigmas: give {', '.join(without)} a sigma_daily above 0")
        size = lomax(self.least_sigmas, self.tail_sigmas, self.alpha)
        return self.together(Effect(Channel.SIGMAS, size, LegKind.COIN), *(self.thin.effects() if self.thin else ()))


@dataclass(frozen=True)
class Devaluation(Shock):
    """The dollar rises in one country's money within one step and stays there; the market is thin after it.

    `rate_per_year` of each country; two tokens of one money fall together. Size: lognormal by its median and its 95 %
    quantile.
    """

    name: str = "devaluation"
    rate_per_year: float = 0.5
    median_rise: float = 0.20
    q95_rise: float = 0.50
    thin: Thin | None = USUALLY_THIN

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number(self.name, "median_rise", self.median_rise, 1e-6, 10.0)
        checks.number(self.name, "q95_rise", self.q95_rise, self.median_rise, 100.0)
        if self.thin is not None:
            self.thin.check(f"{self.name}.thin")

    def events(self, market: Market) -> tuple[Event, ...]:
        size = lognormal(self.median_rise, self.q95_rise)
        after = self.thin.effects() if self.thin else ()
        return self.each(market.of_kind(LegKind.FX), Effect(Channel.DOLLAR, size, LegKind.FX), *after)


@dataclass(frozen=True)
class VolatilitySpike(Shock):
    """All returns are multiplied; what exceeds 1 halves with `half_life_days`."""

    name: str = "volatility_spike"
    rate_per_year: float = 4.0
    multiplier: Span = (2.0, 5.0)
    half_life_days: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.span(self.name, "multiplier", self.multiplier, 1.0, 100.0)
        checks.half_life(self.name, self.half_life_days)

    def events(self, market: Market) -> tuple[Event, ...]:
        return self.together(Effect(Channel.VOLATILITY, uniform(*self.multiplier), half_life_days=self.half_life_days))


@dataclass(frozen=True)
class Liquidity(Shock):
    """The market becomes thin without a gap: spreads widen, depth goes, or one of both where the other is (1, 1)."""

    name: str = "liquidity"
    rate_per_year: float = 2.0
    thin: Thin = USUALLY_THIN

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.thin, Thin):
            raise ValueError(f"{self.name}.thin is all that this shock does: set rate_per_year to 0 to switch it off")
        self.thin.check(f"{self.name}.thin")

    def events(self, market: Market) -> tuple[Event, ...]:
        return self.together(*self.thin.effects())


@dataclass(frozen=True)
class FundingSqueeze(Shock):
    """Leveraged legs pay, or as often receive, a share of their notional every 8 hours for some days."""

    name: str = "funding_squeeze"
    rate_per_year: float = 3.0
    per_8_hours: Span = (0.0005, 0.0030)
    days: Span = (1.0, 7.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.span(self.name, "per_8_hours", self.per_8_hours, 0.0, 0.1)
        checks.days(self.name, "days", self.days)

    def events(self, market: Market) -> tuple[Event, ...]:
        return self.together(Effect(Channel.FUNDING, signed(*self.per_8_hours), days=self.days))


@dataclass(frozen=True)
class Depeg(Shock):
    """A stable leg falls by a share of its worth and comes back; each has times of its own."""

    name: str = "depeg"
    rate_per_year: float = 0.3
    fall: Span = (0.01, 0.15)
    half_life_days: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.span(self.name, "fall", self.fall, 0.0, 0.999)
        checks.half_life(self.name, self.half_life_days)

    def events(self, market: Market) -> tuple[Event, ...]:
        fall = Effect(Channel.FALL, uniform(*self.fall), LegKind.STABLE, half_life_days=self.half_life_days)
        return self.each(market.of_kind(LegKind.STABLE), fall)


@dataclass(frozen=True)
class StreetPremium(Shock):
    """The dollar rises on the street of one country and comes back: a token of its money is sold there, whatever the
    official rate says."""

    name: str = "street_premium"
    rate_per_year: float = 1.0
    rise: Span = (0.05, 0.20)
    half_life_days: float = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.span(self.name, "rise", self.rise, 0.0, 10.0)
        checks.half_life(self.name, self.half_life_days)

    def events(self, market: Market) -> tuple[Event, ...]:
        rise = Effect(Channel.DOLLAR, uniform(*self.rise), LegKind.FX, half_life_days=self.half_life_days)
        return self.each(market.of_kind(LegKind.FX), rise)


@dataclass(frozen=True)
class Outage(Shock):
    """Nothing can be moved, or nothing is seen, for some days; `channel` says which of the two.

    A step is struck if its end falls into the outage: one of six hours stops one of four daily decisions.
    """

    name: str = "halt"
    rate_per_year: float = 0.5
    days: Span = (1.0, 3.0)
    channel: Channel = Channel.HALT

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.days(self.name, "days", self.days)
        if self.channel not in (Channel.HALT, Channel.STALE):
            raise ValueError(f"{self.name}.channel must be HALT or STALE, got {self.channel.name}")

    def events(self, market: Market) -> tuple[Event, ...]:
        return self.together(Effect(self.channel, days=self.days))


def program_of(shocks: Sequence[Shock], market: Market, seed: int) -> Program:
    """The shocks ready for the kernel, which fills one path at a time: for a simulation that keeps none."""
    return compile_events([event for shock in shocks for event in shock.events(market)], market, seed)


def inject(
    shocks: Sequence[Shock], market: Market, paths: int, steps: int, seed: int, first: int = 0, threads: int = 1
) -> Conditions:
    """Conditions of paths first, first + 1, ... under these shocks.

    Parameters
    ----------
    shocks : of different names; left out or added, a shock changes no other: the difference is its marginal effect
    market : the legs in the order of the assets, and the steps of a year
    seed : the same one gives the same bytes, in whatever shares and on however many threads

    Raises
    ------
    ValueError
        Two shocks have one name; a gap on coins whose daily sigma is not known; no path or no step.

    Notes
    -----
    Nothing is under way when a path begins. Shocks at the same step add up in returns and funding; of multipliers,
    depth and outages the worse one holds.
    """
    return conditions_of(program_of(shocks, market, seed), paths, steps, first, threads)
