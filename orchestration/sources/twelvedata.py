"""Twelve Data: open, high, low and close of currency pairs, newest first; one credit per pair.

Errors arrive in the body, with HTTP 200 or their own status, for the request or for one pair of a batch.
The bar of the running day or hour is left out: its range is not final.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from pydantic import BaseModel

from models.contracts.market import Dataset, SeriesSpec
from orchestration.settings import Secret
from orchestration.sources.budget import Every, Quota
from orchestration.sources.errors import (
    BadKey,
    NoHistory,
    Outage,
    PlanRestriction,
    ProviderError,
    QuotaExceeded,
    Reaction,
    SchemaDrift,
    UnknownSymbol,
    Unsupported,
)
from orchestration.sources.http import PlacedKey, Reply, checked
from orchestration.sources.provider import INTERVALS, Harvest, Positive, Provider, Row, Window
from orchestration.sources.rates import fx_row

_INTERVALS = {"1h": "1h", "1d": "1day"}
_BARS_A_REQUEST = 5000
_BATCH = 8  # the credits of one minute on the free plan
_MINUTE_S = 60.0


class _Bar(BaseModel):
    datetime: str
    open: Positive
    high: Positive
    low: Positive
    close: Positive


class _Meta(BaseModel):
    symbol: str


class _Series(BaseModel):
    meta: _Meta
    values: list[_Bar]
    status: str


class TwelveData(Provider):
    name: ClassVar[str] = "twelvedata"
    base_url: ClassVar[str] = "https://api.twelvedata.com"
    datasets: ClassVar[frozenset[Dataset]] = frozenset({Dataset.FX_RATES})
    quota: ClassVar[Quota] = Quota(800, Every.DAY)  # the free plan
    key_variable: ClassVar[str | None] = "TWELVEDATA_API_KEY"

    @classmethod
    def placed_key(cls, secret: Secret) -> PlacedKey:
        return PlacedKey(secret, "header", "Authorization", "apikey ")

    def fetch(self, specs: Sequence[SeriesSpec], window: Window) -> Mapping[SeriesSpec, Harvest | ProviderError]:
        found: dict[SeriesSpec, Harvest | ProviderError] = {}
        for interval in sorted({s.interval for s in specs}):
            alike = [s for s in specs if s.interval == interval]
            if interval not in _INTERVALS:
                found |= {s: Unsupported(self.name, f"has no interval {interval}") for s in alike}
                continue
            for first in range(0, len(alike), _BATCH):
                found |= self._batch(alike[first : first + _BATCH], window)
        return found

    def _batch(self, specs: Sequence[SeriesSpec], window: Window) -> dict[SeriesSpec, Harvest | ProviderError]:
        """Page through the window from its end: an unfinished job keeps the newest rows."""
        step = INTERVALS[specs[0].interval]
        rows: dict[SeriesSpec, list[Row]] = {s: [] for s in specs}
        faults: dict[SeriesSpec, ProviderError] = {}
        end = window.end
        while end > window.start and len(faults) < len(specs):
            start = max(window.start, end - step * _BARS_A_REQUEST)
            asked = [s for s in specs if s not in faults]
            try:
                answers = self._ask(asked, Window(start, end, window.now))
            except ProviderError as error:
                answers = dict.fromkeys(asked, error)
            for spec, answer in answers.items():
                if isinstance(answer, ProviderError):
                    faults[spec] = answer
                else:
                    rows[spec] += answer
            end = start
        return {s: faults[s] if s in faults and not rows[s] else Harvest(tuple(rows[s]), faults.get(s)) for s in specs}

    def _ask(self, specs: Sequence[SeriesSpec], window: Window) -> dict[SeriesSpec, list[Row] | ProviderError]:
        symbols = sorted({pair(s) for s in specs})
        params: dict[str, str | int] = {
            "symbol": ",".join(symbols),
            "interval": _INTERVALS[specs[0].interval],
            "start_date": _text(window.start),
            "end_date": _text(window.end - timedelta(seconds=1)),
            "outputsize": _BARS_A_REQUEST,
            "timezone": "UTC",
        }
        parse = partial(series_by_symbol, symbols=symbols)
        try:
            answers = self.http.get("/time_series", params, judge, parse, cost=len(symbols))
        except NoHistory:
            return {spec: [] for spec in specs}
        found: dict[SeriesSpec, list[Row] | ProviderError] = {}
        for spec in specs:
            answer = answers[pair(spec)]
            found[spec] = answer if isinstance(answer, ProviderError) else self._rows(spec, answer, window)
        return found

    def _rows(self, spec: SeriesSpec, bars: Sequence[tuple[datetime, _Bar]], window: Window) -> list[Row]:
        rows = []
        for ts, bar in bars:
            close = ts + INTERVALS[spec.interval]
            if window.holds(ts) and close <= window.now:
                ohlc = {"open": bar.open, "high": bar.high, "low": bar.low}
                rows.append(fx_row(self.provenance(spec, ts, window.now, close), spec, bar.close, **ohlc))
        return rows


def pair(spec: SeriesSpec) -> str:
    return spec.symbol if spec.symbol and "/" in spec.symbol else f"{spec.base}/{spec.quote}"


def judge(reply: Reply) -> ProviderError | None:
    """An error of the whole request. A batch keeps the errors of single pairs for `series_by_symbol`."""
    return error_of(reply.body)


def error_of(body: Any) -> ProviderError | None:
    if not (isinstance(body, dict) and body.get("status") == "error"):
        return None
    code, message = body.get("code"), str(body.get("message", ""))
    text = message.lower()
    if code == 429:
        # Credits refill with every minute, unless it is the day's that ran out.
        return QuotaExceeded(TwelveData.name, message, None if "for the day" in text else _MINUTE_S)
    if code == 401:
        return BadKey(TwelveData.name, message)
    if code == 403 or "plan" in text:
        return PlanRestriction(TwelveData.name, message)
    if "no data is available" in text:
        return NoHistory(TwelveData.name, message)
    if code in (400, 404) and "symbol" in text:
        return UnknownSymbol(TwelveData.name, message)
    if isinstance(code, int) and code >= 500:
        return Outage(TwelveData.name, message)
    return SchemaDrift(TwelveData.name, f"error {code}: {message}")


Answers = dict[str, list[tuple[datetime, _Bar]] | ProviderError]


def series_by_symbol(body: Any, symbols: Sequence[str]) -> Answers:
    """Bars of each asked symbol, oldest first, or its own error. Raises SchemaDrift if a symbol is not answered."""
    batch = checked(TwelveData.name, dict[str, Any], body)
    if len(symbols) == 1 and "meta" in batch:
        batch = {symbols[0]: batch}
    answers: Answers = {}
    for symbol in symbols:
        if symbol not in batch:
            raise SchemaDrift(TwelveData.name, f"does not answer for {symbol}")
        error = error_of(batch[symbol])
        if error is not None and error.reaction is not Reaction.SKIP:
            raise error
        if isinstance(error, NoHistory):
            answers[symbol] = []  # a weekend, or before the first bar
        else:
            answers[symbol] = error or _bars(batch[symbol], symbol)
    return answers


def _bars(body: Any, symbol: str) -> list[tuple[datetime, _Bar]]:
    series = checked(TwelveData.name, _Series, body)
    if series.status != "ok" or series.meta.symbol != symbol:
        raise SchemaDrift(TwelveData.name, f"asked for {symbol}, answered for {series.meta.symbol} ({series.status})")
    bars = {_time(bar.datetime): bar for bar in series.values}
    if len(bars) < len(series.values):
        raise SchemaDrift(TwelveData.name, f"{symbol}: a time is listed twice")
    return sorted(bars.items(), key=lambda item: item[0])


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and moment.tzinfo is None:  # UTC was asked for; an offset would be news
        return moment.replace(tzinfo=UTC)
    raise SchemaDrift(TwelveData.name, f"{text[:20]!r} is not a time")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
