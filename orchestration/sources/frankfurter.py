"""Frankfurter: reference rates of the European Central Bank, business days, ranges of any length, no key.

A code that the bank does not publish is left out of the answer without a word, or answers 404 when it is alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar

from pydantic import BaseModel

from orchestration.sources.budget import Every, Quota
from orchestration.sources.errors import ProviderError, SchemaDrift, UnknownSymbol
from orchestration.sources.http import Reply, checked
from orchestration.sources.provider import Positive
from orchestration.sources.rates import RateProvider, RateTable, checked_day


class _Latest(BaseModel):
    amount: Positive
    base: str
    date: str
    rates: dict[str, Any]


class _Range(BaseModel):
    amount: Positive
    base: str
    start_date: str
    end_date: str
    rates: dict[str, dict[str, Any]]


class Frankfurter(RateProvider):
    name: ClassVar[str] = "frankfurter"
    base_url: ClassVar[str] = "https://api.frankfurter.dev"
    quota: ClassVar[Quota] = Quota(1000, Every.DAY)  # no limit is published; this is a courtesy
    quiet_days: ClassVar[int] = 5  # from the Thursday before Easter to the Tuesday after it

    def latest(self, codes: Sequence[str]) -> RateTable:
        return self.http.get("/v1/latest", self._params(codes), judge, latest_table)

    def past(self, days: Sequence[date], codes: Sequence[str]) -> tuple[list[RateTable], ProviderError | None]:
        # The answer starts on the business day before `days[0]`; the window takes care of it.
        path = f"/v1/{days[0]}..{days[-1]}"
        return self.http.get(path, self._params(codes), judge, range_tables), None

    def _params(self, codes: Sequence[str]) -> dict[str, str | int]:
        others = [c for c in codes if c != "USD"]
        return {"base": "USD", "symbols": ",".join(others)}


def judge(reply: Reply) -> ProviderError | None:
    if reply.status in (404, 422) and isinstance(reply.body, dict) and "message" in reply.body:
        return UnknownSymbol(Frankfurter.name, "publishes none of the currencies asked for")
    return None


def latest_table(body: Any) -> RateTable:
    table = checked(Frankfurter.name, _Latest, body)
    _one_unit(table.amount)
    return RateTable(checked_day(Frankfurter.name, table.date), table.base, table.rates)


def range_tables(body: Any) -> list[RateTable]:
    series = checked(Frankfurter.name, _Range, body)
    _one_unit(series.amount)
    return [
        RateTable(checked_day(Frankfurter.name, day), series.base, rates) for day, rates in sorted(series.rates.items())
    ]


def _one_unit(amount: Any) -> None:
    if amount != 1:
        raise SchemaDrift(Frankfurter.name, f"quotes {amount} units instead of one")
