"""ExchangeRate-API: one table a day. Without a key the open mirror answers, with one the service itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import AliasChoices, BaseModel, Field

from orchestration.settings import Secret
from orchestration.sources.budget import Every, Quota
from orchestration.sources.errors import (
    BadKey,
    NoHistory,
    PlanRestriction,
    ProviderError,
    QuotaExceeded,
    SchemaDrift,
    UnknownSymbol,
)
from orchestration.sources.http import PlacedKey, Reply, checked
from orchestration.sources.rates import RateProvider, RateTable, stamp_of

_KEY_SEGMENT = "key"

_ERRORS: dict[str, type[ProviderError]] = {
    "unsupported-code": UnknownSymbol,
    "malformed-request": SchemaDrift,
    "invalid-key": BadKey,
    "inactive-account": BadKey,
    "quota-reached": QuotaExceeded,
    "plan-upgrade-required": PlanRestriction,
    "no-data-available": NoHistory,
}


class _Table(BaseModel):
    """`rates` on the open mirror, `conversion_rates` with a key."""

    time_last_update_unix: int
    base_code: str
    rates: dict[str, Any] = Field(min_length=1, validation_alias=AliasChoices("rates", "conversion_rates"))


class OpenErApi(RateProvider):
    name: ClassVar[str] = "open_er_api"
    base_url: ClassVar[str] = "https://open.er-api.com"
    quota: ClassVar[Quota] = Quota(48, Every.DAY)  # the mirror tolerates a request an hour; 1500 a month with a key
    key_variable: ClassVar[str | None] = "OPEN_ER_API_KEY"
    key_required: ClassVar[bool] = False

    @classmethod
    def placed_key(cls, secret: Secret) -> PlacedKey:
        return PlacedKey(secret, "path", _KEY_SEGMENT)

    @classmethod
    def default_url(cls, has_key: bool) -> str:
        return "https://v6.exchangerate-api.com" if has_key else cls.base_url

    def latest(self, codes: Sequence[str]) -> RateTable:
        path = f"/v6/{_KEY_SEGMENT}/latest/USD" if self.http.has_key else "/v6/latest/USD"
        return self.http.get(path, {}, judge, latest_table)


def judge(reply: Reply) -> ProviderError | None:
    body = reply.body
    if not (isinstance(body, dict) and body.get("result") == "error"):
        return None
    name = str(body.get("error-type", ""))
    return _ERRORS.get(name, SchemaDrift)(OpenErApi.name, f"error {name}")


def latest_table(body: Any) -> RateTable:
    table = checked(OpenErApi.name, _Table, body)
    stamp = stamp_of(OpenErApi.name, table.time_last_update_unix)
    return RateTable(stamp.date(), table.base_code, table.rates, stamp)
