"""Fixer (data.fixer.io): tables against the euro. Errors come with HTTP 200 in the body.

The key travels in the query, as the service knows no other place. `timeseries` belongs to larger plans.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from orchestration.settings import Secret
from orchestration.sources.budget import Every, Quota
from orchestration.sources.errors import (
    BadKey,
    BudgetSpent,
    NoHistory,
    PlanRestriction,
    ProviderError,
    QuotaExceeded,
    SchemaDrift,
    UnknownSymbol,
)
from orchestration.sources.http import PlacedKey, Reply, checked
from orchestration.sources.rates import RateProvider, RateTable, checked_day, stamp_of

_LONGEST_SERIES_DAYS = 365

# The free plan has 100 requests a month: three newest tables a day, and what is left for history.
RESERVED_FOR_LATEST = 93

# By number and by name: the service uses numbers, its successor on the same platform uses names.
_ERRORS: dict[str, type[ProviderError]] = {
    "101": BadKey,
    "invalid_access_key": BadKey,
    "missing_access_key": BadKey,
    "102": BadKey,
    "inactive_user": BadKey,
    "103": PlanRestriction,
    "104": QuotaExceeded,
    "usage_limit_reached": QuotaExceeded,
    "rate_limit_reached": QuotaExceeded,
    "105": PlanRestriction,
    "base_currency_access_restricted": PlanRestriction,
    "function_access_restricted": PlanRestriction,
    "https_access_restricted": PlanRestriction,
    "106": NoHistory,
    "no_rates_available": NoHistory,
    "201": UnknownSymbol,
    "invalid_base_currency": UnknownSymbol,
    "202": UnknownSymbol,
    "invalid_currency_codes": UnknownSymbol,
    "301": NoHistory,
    "302": NoHistory,
}


class _Latest(BaseModel):
    """Both shapes: the old one has neither `success` nor `timestamp`."""

    success: bool = True
    timestamp: int | None = None
    base: str
    date: str
    rates: dict[str, Any] = Field(min_length=1)


class _Series(BaseModel):
    success: bool
    timeseries: bool
    base: str
    rates: dict[str, dict[str, Any]]


class Fixer(RateProvider):
    name: ClassVar[str] = "fixer"
    base_url: ClassVar[str] = "https://data.fixer.io"
    quota: ClassVar[Quota] = Quota(100, Every.MONTH)  # the free plan
    newest_every: ClassVar[Every | None] = Every.THIRD_OF_DAY
    key_variable: ClassVar[str | None] = "FIXER_API_KEY"

    @classmethod
    def placed_key(cls, secret: Secret) -> PlacedKey:
        return PlacedKey(secret, "query", "access_key")

    # No `symbols`: one code that the service does not know would cost the whole answer (error 202).
    def latest(self, codes: Sequence[str]) -> RateTable:
        return self.http.get("/api/latest", {}, judge, latest_table)

    def past(self, days: Sequence[date], codes: Sequence[str]) -> tuple[list[RateTable], ProviderError | None]:
        tables: list[RateTable] = []
        first = days[0]
        while first <= days[-1]:
            last = min(first + timedelta(days=_LONGEST_SERIES_DAYS - 1), days[-1])
            if self.http.budget.remaining() <= RESERVED_FOR_LATEST:
                return tables, BudgetSpent(self.name, "no history: the rest of the quota is for new rates")
            params = {"start_date": first.isoformat(), "end_date": last.isoformat()}
            try:
                tables += self.http.get("/api/timeseries", params, judge, series_tables)
            except ProviderError as error:
                return tables, error
            first = last + timedelta(days=1)
        return tables, None


def judge(reply: Reply) -> ProviderError | None:
    body = reply.body
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    code, name = str(error.get("code", "")), str(error.get("type", ""))
    kind = _ERRORS.get(code) or _ERRORS.get(name) or SchemaDrift
    return kind(Fixer.name, f"error {code} {name or error.get('info') or ''}".rstrip())


def latest_table(body: Any) -> RateTable:
    table = checked(Fixer.name, _Latest, body)
    day = checked_day(Fixer.name, table.date)
    if not table.success:
        raise SchemaDrift(Fixer.name, "answers success=false without an error")
    stamp = stamp_of(Fixer.name, table.timestamp) if table.timestamp is not None else None
    # A table that names two days may belong to either: better none than one on the wrong day.
    if stamp is not None and abs((stamp.date() - day).days) > 1:
        raise SchemaDrift(Fixer.name, f"date {day} and timestamp {stamp.date()} disagree")
    return RateTable(day, table.base, table.rates, stamp)


def series_tables(body: Any) -> list[RateTable]:
    series = checked(Fixer.name, _Series, body)
    if not (series.success and series.timeseries):
        raise SchemaDrift(Fixer.name, "answers a time series request with something else")
    return [RateTable(checked_day(Fixer.name, day), series.base, rates) for day, rates in sorted(series.rates.items())]
