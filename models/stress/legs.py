"""The legs that shocks strike: what they are, how much they move in a day, and how time is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DAYS_PER_YEAR = 365.0


class LegKind(StrEnum):
    """COIN: a volatile coin. FX: the money of one country, as a token. STABLE: held to be worth a dollar."""

    COIN = "coin"
    FX = "fx"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Leg:
    """One asset of a path; its price is its worth in dollars, so that money that devalues falls.

    Parameters
    ----------
    symbol : as the vault names it
    kind : what it is
    sigma_daily : standard deviation of its log return of a day; sizes in sigmas need it
    currency : of an FX leg, "NGN"; scenarios of one country look for it
    """

    symbol: str
    kind: LegKind
    sigma_daily: float = 0.0
    currency: str = ""

    def __post_init__(self) -> None:
        if not self.symbol:
            raise ValueError("leg.symbol is empty: give each leg the name it has in the vault")
        if not 0.0 <= self.sigma_daily < 10.0:
            raise ValueError(
                f"leg.sigma_daily of {self.symbol} must be a log return of a day in [0, 10), got {self.sigma_daily}: "
                "0.04 is 4 % a day"
            )


@dataclass(frozen=True)
class Market:
    """Legs in the order of the paths' assets, and the number of steps of a path in a year (8,760 = hours)."""

    legs: tuple[Leg, ...]
    steps_per_year: float

    def __post_init__(self) -> None:
        if not self.legs:
            raise ValueError("market.legs is empty: name at least one leg")
        symbols = [leg.symbol for leg in self.legs]
        if len(set(symbols)) < len(symbols):
            raise ValueError(f"market.legs holds a symbol twice: {sorted(symbols)}")
        if not 1.0 <= self.steps_per_year <= 525_600.0:
            raise ValueError(
                f"market.steps_per_year must lie between 1 and 525600, got {self.steps_per_year}: 8760 for hours, 365 "
                "for days, 252 for business days"
            )

    @property
    def steps_per_day(self) -> float:
        """Steps of a calendar day; 0.69 where steps are business days."""
        return self.steps_per_year / DAYS_PER_YEAR

    def of_kind(self, kind: LegKind) -> tuple[Leg, ...]:
        """The legs of one kind, in order."""
        return tuple(leg for leg in self.legs if leg.kind is kind)


def daily_sigmas(returns: FloatArray, steps_per_year: float) -> FloatArray:
    """Volatility of a day for `Leg.sigma_daily`, from a sample.

    Parameters
    ----------
    returns : (n, assets) log returns a step; NaN = missing, left out asset by asset
    steps_per_year : of the sample

    Returns
    -------
    (assets,) root mean square log return of a step times the root of the steps of a day (252 or fewer steps a year:
    of a step, which is then a business day).

    Raises
    ------
    ValueError
        An asset has no return at all.
    """
    counts = np.isfinite(returns).sum(axis=0)
    if (counts == 0).any():
        raise ValueError(f"assets {np.flatnonzero(counts == 0).tolist()} have no return: leave them out")
    per_step = np.sqrt(np.nansum(returns**2, axis=0) / counts)
    return np.asarray(per_step * np.sqrt(max(steps_per_year / DAYS_PER_YEAR, 1.0)))


def legs_named(symbols: Sequence[str], kinds: Sequence[LegKind], sigmas: Sequence[float]) -> tuple[Leg, ...]:
    """Legs from columns; an FX leg's currency is the last three letters of its symbol (cNGN: NGN)."""
    return tuple(
        Leg(symbol, kind, float(sigma), symbol[-3:].upper() if kind is LegKind.FX else "")
        for symbol, kind, sigma in zip(symbols, kinds, sigmas, strict=True)
    )
