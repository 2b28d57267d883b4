"""What all shocks that come by chance have in common, and the thin market that several of them leave behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.stress import shock_checks as checks
from models.stress.effects import Channel, Effect, Event, uniform
from models.stress.legs import Leg, Market

Span = tuple[float, float]


@dataclass(frozen=True)
class Shock(ABC):
    """A shock by its name, which is that of its random numbers, and its rate."""

    name: str
    rate_per_year: float

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a shock has no name: its random numbers are drawn by it")
        checks.rate(self.name, self.rate_per_year)

    @abstractmethod
    def events(self, market: Market) -> tuple[Event, ...]:
        """What happens by chance on these legs; nothing where none of them can be struck."""

    def together(self, *effects: Effect) -> tuple[Event, ...]:
        """All legs are struck at the same times."""
        return (Event(self.name, self.rate_per_year, -1, effects),)

    def each(self, legs: Sequence[Leg], *effects: Effect) -> tuple[Event, ...]:
        """Each country and each issuer has times of its own, met by all legs in its money."""
        moneys = dict.fromkeys((leg.currency or leg.symbol, leg.kind) for leg in legs)
        return tuple(
            Event(
                f"{self.name}/{money}",
                self.rate_per_year,
                -1,
                tuple(replace(effect, kind=kind, only=(money,)) for effect in effects),
            )
            for money, kind in moneys
        )


@dataclass(frozen=True)
class Thin:
    """A market that has become thin: half-spread as a multiple, depth as a share, for some days."""

    half_spread: Span = (3.0, 20.0)
    depth: Span = (0.05, 0.5)
    days: Span = (1.0, 5.0)

    def check(self, shock: str) -> None:
        """Raise ValueError unless all three are what they should be."""
        checks.span(shock, "half_spread", self.half_spread, 1.0, 1000.0)
        checks.span(shock, "depth", self.depth, 1e-6, 1.0)
        checks.days(shock, "days", self.days)

    def effects(self) -> tuple[Effect, ...]:
        """Wide and shallow for the same time."""
        return (
            Effect(Channel.HALF_SPREAD, uniform(*self.half_spread), days=self.days),
            Effect(Channel.DEPTH, uniform(*self.depth), days=self.days),
        )


USUALLY_THIN = Thin()
