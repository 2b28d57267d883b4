"""Published tables of exchange rates, and what the providers of such tables share.

A provider says how to get today's table and past ones; here tables become rows of the wanted pairs. A pair that a
table does not hold is unknown, never guessed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from models.contracts.market import Dataset, RateKind, SeriesSpec, SourceRegime
from orchestration.sources.budget import Every
from orchestration.sources.errors import (
    NoHistory,
    ProviderError,
    Reaction,
    SchemaDrift,
    Stale,
    UnknownSymbol,
    Unsupported,
)
from orchestration.sources.provider import Harvest, Positive, Provider, Row, Window

# Codes taken out of use, and the day. Some tables carry them on, partly with their successor's rate (ZWL), so a
# value under the old name would be wrong by orders of magnitude.
WITHDRAWN: Mapping[str, date] = {
    "ANG": date(2025, 7, 1),
    "BGN": date(2026, 1, 1),
    "HRK": date(2023, 1, 1),
    "SLL": date(2024, 4, 1),
    "ZWL": date(2024, 9, 1),
}

_PRECISION = Context(prec=15)  # of a cross rate; fixed, so that the same table always gives the same digits
_POSITIVE: TypeAdapter[Decimal] = TypeAdapter(Positive)
_CLOCK_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RateTable:
    """Rates of one day: one unit of `base` costs `rates[code]`. `stamp`: the provider's own time, if it gives one.

    Values are validated when used, so that one bad currency does not spoil the others.
    """

    day: date
    base: str
    rates: Mapping[str, Any]
    stamp: datetime | None = None

    @property
    def ts(self) -> datetime:
        return datetime.combine(self.day, time(), tzinfo=UTC)

    def rate(self, provider: str, base: str, quote: str) -> Decimal:
        """Units of `quote` for one `base`. Raises UnknownSymbol or SchemaDrift."""
        if base == self.base:
            return self._value(provider, quote)
        return _PRECISION.divide(self._value(provider, quote), self._value(provider, base))

    def _value(self, provider: str, code: str) -> Decimal:
        if code == self.base:
            return Decimal(1)
        if code in WITHDRAWN and self.day >= WITHDRAWN[code]:
            raise UnknownSymbol(provider, f"{code} is out of use since {WITHDRAWN[code]}")
        if code not in self.rates:
            raise UnknownSymbol(provider, f"has no {code}")
        value = self.rates[code]
        try:
            # bool is a number to Python but not to us
            return _POSITIVE.validate_python(None if isinstance(value, bool) else value)
        except ValidationError:
            pass
        raise SchemaDrift(provider, f"the rate of {code} is not a positive number")


class RateProvider(Provider):
    """A provider of daily tables. `latest` costs one request for all series, `past` what the provider needs."""

    datasets: ClassVar[frozenset[Dataset]] = frozenset({Dataset.FX_RATES})
    newest_every: ClassVar[Every | None] = None  # how often the newest table of a small plan is asked for; None: always
    quiet_days: ClassVar[int] = 0  # age of the newest table that is no fault: weekends, holidays, early hours

    @abstractmethod
    def latest(self, codes: Sequence[str]) -> RateTable:
        """The newest table."""

    def past(self, days: Sequence[date], codes: Sequence[str]) -> tuple[list[RateTable], ProviderError | None]:
        """Tables of past days, and why some are missing. Days without publication are simply absent."""
        return [], NoHistory(self.name, "gives the newest rates only")

    def fetch(self, specs: Sequence[SeriesSpec], window: Window) -> Mapping[SeriesSpec, Harvest | ProviderError]:
        daily = [s for s in specs if s.interval == "1d"]
        found: dict[SeriesSpec, Harvest | ProviderError] = {
            s: Unsupported(self.name, f"publishes once a day, not every {s.interval}") for s in specs if s not in daily
        }
        if daily:
            tables, missing = self._tables(daily, sorted({c for s in daily for c in (s.base, s.quote)}), window)
            found |= {s: self._harvest(s, tables, missing, window) for s in daily}
        return found

    def _newest(
        self, specs: Sequence[SeriesSpec], codes: Sequence[str], window: Window
    ) -> tuple[list[RateTable], ProviderError | None]:
        """The newest table, or none where all series had one lately and the plan does not pay for another.

        None is no reason to ask the next provider: two providers in turn would look like a rate that jumps.
        """
        paces = [self.http.budget.pace(s.id, self.newest_every) for s in specs] if self.newest_every else []
        due = [pace for pace in paces if pace.remaining()]
        if paces and not due:
            return [], None
        try:
            newest = self.latest(codes)
        except ProviderError as error:
            return [], error
        if newest.ts < window.today - timedelta(days=self.quiet_days):
            return [newest], Stale(self.name, f"the newest rates are of {newest.day}")
        for pace in due:
            pace.spend()
        return [newest], None

    def _tables(
        self, specs: Sequence[SeriesSpec], codes: Sequence[str], window: Window
    ) -> tuple[list[RateTable], ProviderError | None]:
        asked = window.holds(window.today)
        tables, missing = self._newest(specs, codes, window) if asked else ([], None)
        days = window.past_days()
        if days and (missing is None or missing.reaction is not Reaction.STOP):
            try:
                past, gap = self.past(days, codes)
            except ProviderError as error:
                past, gap = [], error
            tables, missing = [*tables, *past], missing or gap
        if not tables and missing is not None:
            raise missing
        for table in tables:
            if max(table.ts, table.stamp or table.ts) > window.now + _CLOCK_SKEW:
                raise SchemaDrift(self.name, f"dates its rates {table.stamp or table.day}, which is in the future")
        by_day = {t.day: t for t in tables}  # the newest table of a weekend is a past one as well
        return [by_day[day] for day in sorted(by_day)], missing

    def _harvest(
        self, spec: SeriesSpec, tables: Sequence[RateTable], missing: ProviderError | None, window: Window
    ) -> Harvest | ProviderError:
        rows: list[Row] = []
        fault: ProviderError | None = None
        for table in tables:
            if not window.holds(table.ts):
                continue
            try:
                rate = table.rate(self.name, spec.base, spec.quote)
            except (UnknownSymbol, SchemaDrift) as error:
                fault = error
                continue
            stamp = min(table.stamp, window.now) if table.stamp else None
            rows.append(fx_row(self.provenance(spec, table.ts, window.now, stamp), spec, rate))
        if fault is not None and not rows:
            return fault
        return Harvest(tuple(rows), missing or fault)


def fx_row(provenance: Row, spec: SeriesSpec, rate: Decimal, **more: Any) -> Row:
    """A row of `raw.fx_rates`; an official mid rate unless `more` says otherwise."""
    absent = dict.fromkeys(
        ("open", "high", "low", "bid", "ask", "n_offers", "depth_base", "vwap", "mode_price", "hhi"), None
    )
    return (
        provenance
        | absent
        | {
            "base": spec.base,
            "quote": spec.quote,
            "kind": RateKind.OFFICIAL.value,
            "side": "mid",
            "rate": rate,
            "source_regime": SourceRegime.FREE.value,
        }
        | more
    )


def checked_day(provider: str, text: str) -> date:
    """An ISO date. Raises SchemaDrift."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    raise SchemaDrift(provider, f"{text[:20]!r} is not a date")


def stamp_of(provider: str, seconds: int) -> datetime:
    """Time of a UNIX timestamp in seconds. Raises SchemaDrift where it is not one (milliseconds, negative)."""
    if not 0 < seconds < 2**33:
        raise SchemaDrift(provider, f"{seconds} is not a time in seconds")
    return datetime.fromtimestamp(seconds, tz=UTC)
