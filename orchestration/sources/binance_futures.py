"""Binance perpetuals: funding rates and open interest. Open interest reaches back 30 days only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from pydantic import BaseModel

from models.contracts.market import Dataset, SeriesSpec
from orchestration.sources.binance_klines import judge
from orchestration.sources.budget import Every, Quota
from orchestration.sources.errors import NoHistory, ProviderError, SchemaDrift, Unsupported
from orchestration.sources.http import checked
from orchestration.sources.provider import (
    INTERVALS,
    Harvest,
    Millis,
    NotNegative,
    Provider,
    Row,
    Signed,
    Window,
    from_millis,
    to_millis,
)

_FUNDING_PAGE = 1000
_INTEREST_PAGE = 500
_INTEREST_KEPT = timedelta(days=30)
_INTEREST_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")


class _Funding(BaseModel):
    symbol: str
    fundingTime: Millis
    fundingRate: Signed


class _Interest(BaseModel):
    symbol: str
    timestamp: Millis
    sumOpenInterest: NotNegative
    sumOpenInterestValue: NotNegative


class BinanceFutures(Provider):
    name: ClassVar[str] = "binance_futures"
    base_url: ClassVar[str] = "https://fapi.binance.com"
    datasets: ClassVar[frozenset[Dataset]] = frozenset({Dataset.FUNDING, Dataset.OPEN_INTEREST})
    quota: ClassVar[Quota] = Quota(90, Every.MINUTE)  # funding has 500 in five minutes per address

    def fetch(self, specs: Sequence[SeriesSpec], window: Window) -> Mapping[SeriesSpec, Harvest | ProviderError]:
        one = self._funding if specs[0].dataset is Dataset.FUNDING else self._interest
        return self.each(specs, lambda spec: one(spec, window))

    def _funding(self, spec: SeriesSpec, window: Window) -> Harvest:
        rows: list[Row] = []
        symbol = spec.symbol or f"{spec.base}{spec.quote}"
        cursor, last = to_millis(window.start), to_millis(window.end) - 1
        while cursor <= last:
            params: dict[str, str | int] = {
                "symbol": symbol, "startTime": cursor, "endTime": last, "limit": _FUNDING_PAGE,
            }  # fmt: skip
            parse = partial(funding_page, symbol=symbol, first=cursor, last=last)
            try:
                page = self.http.get("/fapi/v1/fundingRate", params, partial(judge, self.name), parse)
            except ProviderError as error:
                if not rows:
                    raise
                return Harvest(tuple(rows), error)
            for item in page:
                # Stamped some milliseconds after the hour; the second is what identifies the interval.
                ts = from_millis(item.fundingTime).replace(microsecond=0)
                if window.holds(ts):
                    known = self.provenance(spec, ts, window.now, from_millis(item.fundingTime))
                    rows.append(known | {"exchange": "binance", "funding_rate": item.fundingRate})
            if len(page) < _FUNDING_PAGE:
                break
            cursor = page[-1].fundingTime + 1
        return Harvest(tuple(rows))

    def _interest(self, spec: SeriesSpec, window: Window) -> Harvest:
        if spec.interval not in _INTEREST_PERIODS:
            raise Unsupported(self.name, f"has no open interest every {spec.interval}")
        oldest = window.now - _INTEREST_KEPT
        missing: ProviderError | None = None
        if window.start < oldest:
            missing = NoHistory(self.name, "keeps open interest for 30 days")
            if window.end <= oldest:
                raise missing
        rows: list[Row] = []
        symbol = spec.symbol or f"{spec.base}{spec.quote}"
        # Windows no longer than a page: with a longer one the exchange gives its newest part.
        start, step = max(window.start, oldest), INTERVALS[spec.interval] * _INTEREST_PAGE
        while start < window.end:
            end = min(start + step, window.end)
            first, last = to_millis(start), to_millis(end) - 1
            params: dict[str, str | int] = {
                "symbol": symbol, "period": spec.interval, "startTime": first, "endTime": last, "limit": _INTEREST_PAGE,
            }  # fmt: skip
            parse = partial(interest_page, symbol=symbol, first=first, last=last)
            try:
                page = self.http.get("/futures/data/openInterestHist", params, partial(judge, self.name), parse)
            except ProviderError as error:
                if not rows:
                    raise
                return Harvest(tuple(rows), error)
            for item in page:
                known = self.provenance(spec, from_millis(item.timestamp), window.now)
                more = {"exchange": "binance", "oi_base": item.sumOpenInterest, "oi_usd": item.sumOpenInterestValue}
                rows.append(known | more)
            start = end
        return Harvest(tuple(rows), missing)


def funding_page(body: Any, symbol: str, first: int, last: int) -> list[_Funding]:
    page = checked(BinanceFutures.name, list[_Funding], body)
    _in_order([(item.symbol, item.fundingTime) for item in page], symbol, first, last)
    return page


def interest_page(body: Any, symbol: str, first: int, last: int) -> list[_Interest]:
    page = checked(BinanceFutures.name, list[_Interest], body)
    _in_order([(item.symbol, item.timestamp) for item in page], symbol, first, last)
    return page


def _in_order(items: Sequence[tuple[str, int]], symbol: str, first: int, last: int) -> None:
    previous = first - 1
    for name, moment in items:
        if name != symbol:
            raise SchemaDrift(BinanceFutures.name, f"asked for {symbol}, answered for {name}")
        if not previous < moment <= last:
            raise SchemaDrift(BinanceFutures.name, f"time {moment} is out of order or outside of what was asked")
        previous = moment
