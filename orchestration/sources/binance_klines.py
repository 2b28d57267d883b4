"""Binance spot candles. The candle that is still forming is dropped by its close time.

Also here: the errors that all exchange hosts of Binance share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from pydantic import NonNegativeInt

from models.contracts.market import Dataset, SeriesSpec
from orchestration.sources.budget import Every, Quota
from orchestration.sources.errors import (
    BannedAddress,
    ProviderError,
    QuotaExceeded,
    SchemaDrift,
    UnknownSymbol,
    Unsupported,
)
from orchestration.sources.http import Reply, checked
from orchestration.sources.interface import Reject
from orchestration.sources.provider import (
    INTERVALS,
    Harvest,
    Millis,
    NotNegative,
    Provider,
    Row,
    Window,
    from_millis,
    to_millis,
)

PAGE = 1000
_TOO_MANY = -1003
_UNKNOWN_SYMBOL = -1121

# open time, open, high, low, close, base volume, close time, quote volume, trades; then taker volumes, not used
_Kline = tuple[
    Millis,
    NotNegative,
    NotNegative,
    NotNegative,
    NotNegative,
    NotNegative,
    Millis,
    NotNegative,
    NonNegativeInt,
    Any,
    Any,
    Any,
]


class BinanceKlines(Provider):
    name: ClassVar[str] = "binance"
    base_url: ClassVar[str] = "https://api.binance.com"
    datasets: ClassVar[frozenset[Dataset]] = frozenset({Dataset.CANDLES})
    quota: ClassVar[Quota] = Quota(1200, Every.MINUTE)  # 2 of the 6000 weight units an address has per minute, each

    def fetch(self, specs: Sequence[SeriesSpec], window: Window) -> Mapping[SeriesSpec, Harvest | ProviderError]:
        return self.each(specs, lambda spec: self._one(spec, window))

    def _one(self, spec: SeriesSpec, window: Window) -> Harvest:
        if spec.interval not in INTERVALS:
            raise Unsupported(self.name, f"has no interval {spec.interval}")
        rows: list[Row] = []
        rejects: list[Reject] = []
        cursor, last = to_millis(window.start), to_millis(window.end) - 1
        while cursor <= last:
            params: dict[str, str | int] = {
                "symbol": spec.symbol or f"{spec.base}{spec.quote}",
                "interval": spec.interval,
                "startTime": cursor,
                "endTime": last,
                "limit": PAGE,
            }
            parse = partial(klines, interval=spec.interval, first=cursor, last=last)
            try:
                page = self.http.get("/api/v3/klines", params, partial(judge, self.name), parse)
            except ProviderError as error:
                if not rows:
                    raise
                return Harvest(tuple(rows), error, rejects=tuple(rejects))
            self._take(page, spec, window.now, rows, rejects)
            if len(page) < PAGE:
                break
            cursor = page[-1][0] + step_ms(spec.interval)
        return Harvest(tuple(rows), rejects=tuple(rejects))

    def _take(
        self, page: Sequence[_Kline], spec: SeriesSpec, now: datetime, rows: list[Row], rejects: list[Reject]
    ) -> None:
        for opened, open_, high, low, close, base, closed, quote, trades, *_ in page:
            ts, end = from_millis(opened), from_millis(closed)
            if end >= now:
                continue  # still forming
            bar = {"open": open_, "high": high, "low": low, "close": close}
            fault = ("not_positive", "a price of zero") if min(bar.values()) == 0 else None
            fault = fault or (
                ("impossible_date", "does not open on the grid") if opened % step_ms(spec.interval) else None
            )
            if fault is not None:
                payload = {k: str(v) for k, v in bar.items()} | {"ts": ts.isoformat(), "interval": spec.interval}
                rejects.append(Reject(Dataset.CANDLES, spec.id, *fault, payload))
                continue
            known = self.provenance(spec, ts, now, end)
            rows.append(known | bar | {"volume_base": base, "volume_quote": quote, "trades": trades})


def klines(body: Any, interval: str, first: int, last: int) -> list[_Kline]:
    """The bars of one page. Raises SchemaDrift unless they rise in time inside first..last (ms) and have the interval.

    A single short bar is real (trading halts cut some in 2017 and 2018), a page of them is another interval.
    """
    page: list[_Kline] = checked(BinanceKlines.name, list[_Kline], body)
    previous = first - 1
    for bar in page:
        if not previous < bar[0] <= last:
            raise SchemaDrift(BinanceKlines.name, f"bar at {bar[0]} is out of order or outside of what was asked")
        previous = bar[0]
    longest = max((bar[6] + 1 - bar[0] for bar in page), default=None)
    if longest not in (None, step_ms(interval)):
        raise SchemaDrift(BinanceKlines.name, f"asked for bars of {interval}, answered with bars of {longest} ms")
    return page


def step_ms(interval: str) -> int:
    return INTERVALS[interval] // timedelta(milliseconds=1)


def judge(provider: str, reply: Reply) -> ProviderError | None:
    """Errors of the exchange hosts: a number and a message, with their own status."""
    body = reply.body
    if not (isinstance(body, dict) and isinstance(body.get("code"), int) and "msg" in body):
        return None
    code, message = body["code"], re.sub(r"IP\([^)]*\)", "this address", str(body["msg"]))
    if reply.status == 418 or (code == _TOO_MANY and "banned" in message):
        end = re.search(r"until (\d{13})\b", message)
        return BannedAddress(provider, f"error {code}: {message}", until=from_millis(int(end[1])) if end else None)
    if reply.status == 429 or code == _TOO_MANY:
        return QuotaExceeded(provider, f"error {code}: {message}")
    if reply.status in (403, 451):
        return BannedAddress(provider, f"HTTP {reply.status}: {message}")
    if code == _UNKNOWN_SYMBOL:
        return UnknownSymbol(provider, message)
    return SchemaDrift(provider, f"error {code}: {message}")
