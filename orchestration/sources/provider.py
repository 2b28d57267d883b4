"""What a live provider is: what it is asked for, what it gives back, and when a row counts as known.

Here: the window of a request, the harvest of one series, the base class. Not here: HTTP (`http`), the choice
between providers (`live`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field

from models.contracts.market import DataMode, Dataset, SeriesSpec
from orchestration.settings import Secret
from orchestration.sources.budget import Quota
from orchestration.sources.errors import ProviderError, Reaction
from orchestration.sources.http import PlacedKey, ProviderHttp
from orchestration.sources.interface import Reject

# A row fetched this soon after it became known was followed live; later ones were looked up afterwards. Twice the
# hourly tick, so that one missed tick does not turn live rows into history.
LIVE_WITHIN = timedelta(hours=2)

# Bounds that no rate, price or volume reaches, in any unit: beyond them a number is a fault, and an exponent a trap.
Positive = Annotated[Decimal, Field(gt=Decimal("1e-15"), lt=Decimal("1e15"), allow_inf_nan=False)]
NotNegative = Annotated[Decimal, Field(ge=0, lt=Decimal("1e18"), allow_inf_nan=False)]
Signed = Annotated[Decimal, Field(gt=Decimal(-100), lt=Decimal(100), allow_inf_nan=False)]
Millis = Annotated[int, Field(ge=0, lt=10**14)]  # ms since 1970, before the year 5138: refuses microseconds

INTERVALS: Mapping[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "4h": timedelta(hours=4),
    "6h": timedelta(hours=6),
    "8h": timedelta(hours=8),
    "12h": timedelta(hours=12),
    "1d": timedelta(days=1),
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """Rows with start <= ts < end are wanted, as known at `now`; `end` is never after `now`."""

    start: datetime
    end: datetime
    now: datetime

    def holds(self, ts: datetime) -> bool:
        return self.start <= ts < self.end

    @property
    def moment(self) -> datetime:
        """The newest minute that began before `now`: the time of what is observed right now."""
        return (self.now - timedelta(microseconds=1)).replace(second=0, microsecond=0)

    @property
    def today(self) -> datetime:
        return self.moment.replace(hour=0, minute=0)

    def past_days(self) -> list[date]:
        """Days before today whose start lies in the window, oldest first."""
        day = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        day += timedelta(days=day < self.start)
        days = []
        while day < min(self.end, self.today):
            days.append(day.date())
            day += timedelta(days=1)
        return days


@dataclass(frozen=True, slots=True)
class Harvest:
    """Rows of one series. `missing`: why part of the window is not covered (None: it is covered as far as the
    provider has data). `remark`: what should be known about the rows, for the ingest log."""

    rows: tuple[Row, ...]
    missing: ProviderError | None = None
    remark: str | None = None
    rejects: tuple[Reject, ...] = field(default=())


class Provider(ABC):
    """One service. Built for one fetch and then dropped."""

    name: ClassVar[str]
    base_url: ClassVar[str]
    datasets: ClassVar[frozenset[Dataset]]
    quota: ClassVar[Quota]
    key_variable: ClassVar[str | None] = None
    key_required: ClassVar[bool] = True

    def __init__(self, http: ProviderHttp) -> None:
        self.http = http

    @classmethod
    def placed_key(cls, secret: Secret) -> PlacedKey | None:
        """Where the key goes in a request; None where the provider has no keys."""
        return None

    @classmethod
    def default_url(cls, has_key: bool) -> str:
        return cls.base_url

    @abstractmethod
    def fetch(self, specs: Sequence[SeriesSpec], window: Window) -> Mapping[SeriesSpec, Harvest | ProviderError]:
        """Rows or an error for each series, all of one dataset. May raise a ProviderError that concerns all."""

    def each(
        self, specs: Sequence[SeriesSpec], one: Callable[[SeriesSpec], Harvest]
    ) -> dict[SeriesSpec, Harvest | ProviderError]:
        """Ask for one series after the other; what stops the provider stops the rest too."""
        found: dict[SeriesSpec, Harvest | ProviderError] = {}
        stopped: ProviderError | None = None
        for spec in specs:
            if stopped is not None:
                found[spec] = stopped
                continue
            try:
                found[spec] = one(spec)
            except ProviderError as error:
                found[spec] = error
                stopped = error if error.reaction is Reaction.STOP else None
        return found

    def provenance(self, spec: SeriesSpec, ts: datetime, now: datetime, not_before: datetime | None = None) -> Row:
        return {
            "series": spec.id,
            "interval": spec.interval,
            "ts": ts,
            "source": spec.source,
            "provider": self.name,
            "data_mode": DataMode.LIVE.value,
            "available_at": known_at(spec, ts, now, not_before),
        }


def known_at(spec: SeriesSpec, ts: datetime, now: datetime, not_before: datetime | None = None) -> datetime:
    """When a row could first be known: on arrival if it is followed live, else after its publication lag.

    `not_before`: a time of its own that the row carries (close of a bar, stamp of an answer).
    """
    expected = ts + timedelta(seconds=spec.publication_lag_s)
    if not_before is not None:
        expected = max(expected, not_before)
    return expected if now - expected > LIVE_WITHIN else now


def from_millis(value: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)


def to_millis(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
