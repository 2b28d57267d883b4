"""Open Exchange Rates: tables against the dollar, updated hourly; past days one request each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
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
from orchestration.sources.rates import RateProvider, RateTable, stamp_of

# Hourly refreshes of the newest table need 744 of the free plan's 1000 requests a month; history gets the rest.
RESERVED_FOR_LATEST = 750

_ERRORS: dict[str, type[ProviderError]] = {
    "missing_app_id": BadKey,
    "invalid_app_id": BadKey,
    "not_allowed": PlanRestriction,
    "access_restricted": QuotaExceeded,
    "invalid_base": UnknownSymbol,
    "not_available": NoHistory,
    "not_found": SchemaDrift,
}


class _Table(BaseModel):
    timestamp: int
    base: str
    rates: dict[str, Any] = Field(min_length=1)


class OpenExchangeRates(RateProvider):
    name: ClassVar[str] = "openexchangerates"
    base_url: ClassVar[str] = "https://openexchangerates.org"
    quota: ClassVar[Quota] = Quota(1000, Every.MONTH)
    key_variable: ClassVar[str | None] = "OPENEXCHANGERATES_APP_ID"

    @classmethod
    def placed_key(cls, secret: Secret) -> PlacedKey:
        return PlacedKey(secret, "header", "Authorization", "Token ")

    def latest(self, codes: Sequence[str]) -> RateTable:
        return self.http.get("/api/latest.json", {}, judge, latest_table)

    def past(self, days: Sequence[date], codes: Sequence[str]) -> tuple[list[RateTable], ProviderError | None]:
        tables: list[RateTable] = []
        missing: ProviderError | None = None
        for day in sorted((d for d in days if d.isoweekday() <= 5), reverse=True):  # newest first: it counts most
            if self.http.budget.remaining() <= RESERVED_FOR_LATEST:
                missing = BudgetSpent(self.name, f"history stops at {day}: the rest of the quota is for new rates")
                break
            try:
                tables.append(
                    self.http.get(f"/api/historical/{day}.json", {}, judge, partial(historical_table, day=day))
                )
            except NoHistory as error:
                missing = error
            except ProviderError as error:
                missing = error
                break
        return tables[::-1], missing


def judge(reply: Reply) -> ProviderError | None:
    body = reply.body
    if not (isinstance(body, dict) and body.get("error") is True):
        return None
    name = str(body.get("message", ""))
    kind = _ERRORS.get(name, SchemaDrift)
    return kind(OpenExchangeRates.name, f"{name}: {body.get('description', '')}")


def latest_table(body: Any) -> RateTable:
    table = checked(OpenExchangeRates.name, _Table, body)
    stamp = stamp_of(OpenExchangeRates.name, table.timestamp)
    return RateTable(stamp.date(), table.base, table.rates, stamp)


def historical_table(body: Any, day: date) -> RateTable:
    """The last table of `day`. Its stamp may be the midnight that ends the day, but no other day."""
    table = latest_table(body)
    assert table.stamp is not None
    if (table.stamp - timedelta(seconds=1)).date() != day and table.day != day:
        raise SchemaDrift(OpenExchangeRates.name, f"asked for {day}, answered for {table.day}")
    return RateTable(day, table.base, table.rates, table.stamp)
