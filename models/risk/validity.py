"""How long a score may be served as fresh: until its inputs are too old for it, counted from the moment of the data.

Pure. What happens to an expired score is decided where it is read (`serving`, `keeper.decision`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np

from models.contracts.market import SeriesKind

MAX_BUSINESS_DAYS = 3  # of a published rate; longer in calendar days only over a weekend
HOURLY_VALIDITY = timedelta(hours=2)  # two bars: two missed ticks mean that nobody is watching
_RATES = (SeriesKind.RANGES, SeriesKind.FIXINGS)


@dataclass(frozen=True, slots=True)
class Validity:
    """`max_age`: of the newest observation. Rates also expire once more than three business days have passed."""

    max_age: timedelta
    is_rate: bool = False

    @classmethod
    def of(cls, kind: SeriesKind, max_age: timedelta) -> Validity:
        """Validity of one series."""
        return cls(max_age, kind in _RATES)

    @classmethod
    def of_vault(cls, legs: Iterable[tuple[SeriesKind, timedelta]]) -> Validity:
        """Validity of a vault from the kind and allowed age of its risky legs: hourly, unless all legs are rates."""
        ages = list(legs)
        if ages and all(kind in _RATES for kind, _ in ages):
            return cls(min(age for _, age in ages), True)
        return cls(HOURLY_VALIDITY)

    @classmethod
    def of_daily(cls, legs: Iterable[tuple[SeriesKind, timedelta]]) -> Validity:
        """Validity of what is made of these series once a day: until the next one is due, and two hours more."""
        ages = list(legs)
        if ages and all(kind in _RATES for kind, _ in ages):
            return cls.of_vault(ages)
        return cls(timedelta(days=1) + HOURLY_VALIDITY)

    def until(self, as_of: datetime) -> datetime:
        """Last moment at which a score of `as_of` (aware) is fresh, aware UTC."""
        oldest = as_of.astimezone(UTC) + self.max_age
        if not self.is_rate:
            return oldest
        first = np.datetime64(as_of.astimezone(UTC).date())
        last: datetime = np.busday_offset(first, MAX_BUSINESS_DAYS, roll="forward").astype(datetime)
        return min(oldest, datetime.combine(last, time(), UTC) + timedelta(days=1))
