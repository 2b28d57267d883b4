"""What a backtest is fed: closes of a vault's legs on one grid, and what market and keeper were like at each bar.

Here: the table, and one row of it as the engine gets it. The engine sees rows one after the other and never the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
TimeArray = NDArray[np.datetime64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Bar:
    """One close. `prices`, `sigma_day`, `depth_usd` in the order of the legs; the last two empty where not known."""

    index: int
    close_at: datetime
    prices: tuple[float, ...]
    sigma_day: tuple[float, ...]
    depth_usd: tuple[float, ...]
    keeper_up: bool
    fill_share: float
    halted: bool = False
    spread_multiplier: float = 1.0

    @property
    def is_priced(self) -> bool:
        """Whether every leg has a print; without one nothing is decided and nothing is filled."""
        return not any(price != price for price in self.prices)


@dataclass(frozen=True, eq=False)
class Bars:
    """n bars of k legs.

    Parameters
    ----------
    symbols : k legs, in the order of the columns.
    close_at : (n,) datetime64, UTC, strictly increasing.
    prices : (n, k) dollars a token at the close, above 0; NaN = no print. The first row is complete. A stable leg is a
        column as any other: 1, or what it was worth.
    sigma_day, depth_usd : (n, k) volatility a day and dollars within reach, both known at the bar; only the impact of
        `costs` reads them. None = not known.
    keeper_up : (n,) False = outage: no tick. None = always up.
    fill_share : (n,) share 0-1 of an order due at the bar that is carried out; 0 = it fails. None = all of it.

    halted : (n,) True = the venue stands still: no tick, and an order that is due waits. None = never.
    spread_multiplier : (n,) >= 1, of the half-spread of fills at the bar. None = 1.

    Raises
    ------
    ValueError
        Shapes that do not fit, times out of order, an incomplete first row, prices or shares out of range.
    """

    symbols: tuple[str, ...]
    close_at: TimeArray
    prices: FloatArray
    sigma_day: FloatArray | None = None
    depth_usd: FloatArray | None = None
    keeper_up: BoolArray | None = None
    fill_share: FloatArray | None = None
    halted: BoolArray | None = None
    spread_multiplier: FloatArray | None = None

    def __post_init__(self) -> None:
        n, k = len(self.close_at), len(self.symbols)
        if n == 0 or self.prices.shape != (n, k):
            raise ValueError(f"bars: prices are {self.prices.shape}, not ({n}, {k}) with at least one row")
        if not (np.diff(self.close_at.astype("datetime64[us]").astype(np.int64)) > 0).all():
            raise ValueError("bars: close_at must increase strictly")
        if not np.isfinite(self.prices[0]).all():
            raise ValueError("bars: every leg needs a price in the first row; cut the rows before")
        if (self.prices <= 0).any() or np.isinf(self.prices).any():
            raise ValueError("bars: prices must be above 0 and finite, NaN where there is none")
        for name in ("sigma_day", "depth_usd"):
            table = getattr(self, name)
            if table is not None and (table.shape != (n, k) or not (table >= 0).all()):
                raise ValueError(f"bars: {name} must be ({n}, {k}) and not negative")
        for name in ("keeper_up", "halted"):
            mask = getattr(self, name)
            if mask is not None and mask.shape != (n,):
                raise ValueError(f"bars: {name} must be ({n},)")
        share = self.fill_share
        if share is not None and (share.shape != (n,) or not ((share >= 0) & (share <= 1)).all()):
            raise ValueError(f"bars: fill_share must be ({n},) within 0 and 1")
        spread = self.spread_multiplier
        if spread is not None and (spread.shape != (n,) or not (np.isfinite(spread) & (spread >= 1)).all()):
            raise ValueError(f"bars: spread_multiplier must be ({n},), finite and at least 1")

    def __len__(self) -> int:
        return len(self.close_at)

    def __iter__(self) -> Iterator[Bar]:
        return (self.bar(i) for i in range(len(self)))

    @cached_property
    def filled(self) -> FloatArray:
        """(n, k) prices with each gap closed by the price before it."""
        rows = np.arange(len(self))[:, None]
        seen = np.maximum.accumulate(np.where(np.isnan(self.prices), 0, rows), axis=0)
        return np.take_along_axis(self.prices, seen, axis=0)

    @cached_property
    def priced(self) -> BoolArray:
        """(n,) whether every leg had a print of its own."""
        return np.asarray(np.isfinite(self.prices).all(axis=1))

    @cached_property
    def times_us(self) -> NDArray[np.int64]:
        """(n,) closes in microseconds since 1970."""
        return self.close_at.astype("datetime64[us]").astype(np.int64)

    @cached_property
    def days(self) -> NDArray[np.int64]:
        """(n,) UTC day of each bar in days since 1970: a bar that closes at midnight ends the day before."""
        return (self.times_us - 1) // DAY_US

    def bar(self, i: int) -> Bar:
        """Row i alone."""
        return Bar(
            i,
            moment(int(self.close_at[i].astype("datetime64[us]").astype(np.int64))),
            tuple(self.prices[i].tolist()),
            () if self.sigma_day is None else tuple(self.sigma_day[i].tolist()),
            () if self.depth_usd is None else tuple(self.depth_usd[i].tolist()),
            True if self.keeper_up is None else bool(self.keeper_up[i]),
            1.0 if self.fill_share is None else float(self.fill_share[i]),
            False if self.halted is None else bool(self.halted[i]),
            1.0 if self.spread_multiplier is None else float(self.spread_multiplier[i]),
        )

    def cut(self, start: int, stop: int) -> Bars:
        """Rows start to stop - 1. Their first row must be complete."""
        names = ("sigma_day", "depth_usd", "keeper_up", "fill_share", "halted", "spread_multiplier")
        own = {name: getattr(self, name) for name in names}
        parts = {name: None if table is None else table[start:stop] for name, table in own.items()}
        return Bars(self.symbols, self.close_at[start:stop], self.prices[start:stop], **parts)


def moment(time_us: int) -> datetime:
    """Microseconds since 1970 -> aware datetime, as the policy speaks it."""
    return _EPOCH + time_us * _MICROSECOND


def microseconds(time: datetime) -> int:
    """Aware datetime -> microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND
