"""The live market: real providers, asked in the order that the universe gives for each series.

Here: which provider is asked next and what becomes of its answer. Providers live one a file beside this.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import pandas as pd

from models.contracts.market import COLUMNS, DataMode, Dataset, SeriesSpec
from orchestration.settings import Secret
from orchestration.sources.binance_futures import BinanceFutures
from orchestration.sources.binance_klines import BinanceKlines
from orchestration.sources.binance_p2p import BinanceP2P
from orchestration.sources.budget import Budget, StateStore
from orchestration.sources.circuit import Circuit
from orchestration.sources.errors import NoKey, ProviderError, Reaction, Unsupported
from orchestration.sources.fixer import Fixer
from orchestration.sources.frankfurter import Frankfurter
from orchestration.sources.http import ProviderHttp, new_client
from orchestration.sources.interface import Answer, Fetch, Market, Reject
from orchestration.sources.open_er_api import OpenErApi
from orchestration.sources.openexchangerates import OpenExchangeRates
from orchestration.sources.provider import Harvest, Provider, Row, Window
from orchestration.sources.twelvedata import TwelveData

PROVIDERS: Mapping[str, type[Provider]] = {
    p.name: p
    for p in (
        Fixer, OpenExchangeRates, OpenErApi, Frankfurter, BinanceKlines, BinanceP2P, BinanceFutures, TwelveData,
    )
}  # fmt: skip


@dataclass
class _Pending:
    """A series on its way through its providers."""

    spec: SeriesSpec
    rows: dict[datetime, Row] = field(default_factory=dict)
    next_provider: int = 0
    done: bool = False

    @property
    def provider(self) -> str | None:
        providers = self.spec.providers
        return None if self.done or self.next_provider >= len(providers) else providers[self.next_provider]


class LiveMarket(Market):
    """Real prices under the wall clock. Nothing is stored here but what `state` keeps about providers.

    `sleep` waits between retries; `transport` replaces the network in tests; `history_days` is how far back hourly
    data is expected.
    """

    mode = DataMode.LIVE
    name = "live"

    def __init__(
        self,
        series: Sequence[SeriesSpec],
        secrets: Mapping[str, Secret],
        provider_urls: Mapping[str, str],
        state: StateStore,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        rng: random.Random,
        history_days: int,
        transport: httpx.BaseTransport | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        unknown = {p for s in series for p in s.providers} - PROVIDERS.keys()
        if unknown:
            raise ValueError(f"providers {sorted(unknown)} do not exist; known are {sorted(PROVIDERS)}")
        self._series, self._secrets, self._urls, self._state = tuple(series), secrets, provider_urls, state
        self._clock, self._sleep, self._rng = clock, sleep, rng
        self._history_days, self._transport, self._timeout_s = history_days, transport, timeout_s

    def series(self) -> Sequence[SeriesSpec]:
        return self._series

    def history_start(self) -> datetime:
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        return today - timedelta(days=self._history_days)

    def history_end(self) -> datetime:
        return self._clock()

    def fetch(
        self,
        dataset: Dataset,
        start: datetime | None,
        end: datetime,
        now: datetime,
        series: Sequence[str] | None = None,
    ) -> Fetch:
        offered = [s for s in self._series if s.dataset is dataset]
        wanted = [s for s in offered if series is None or s.id in series]
        strangers = set(series or ()) - {s.id for s in offered}
        answers = [
            Answer("none", name, 0, "failed", "unknown_series", f"the live universe has no {name} in {dataset}")
            for name in sorted(strangers)
        ]
        rejects: list[Reject] = []
        pending = [_Pending(s) for s in wanted]
        window = Window(start if start is not None else self.history_start(), min(end, now), now)
        if window.start < window.end and pending:
            with new_client(self._transport, self._timeout_s) as client:
                self._ask_all(client, pending, window, answers, rejects)
        rows = [row for p in pending for _, row in sorted(p.rows.items())]
        return Fetch(frame_of(dataset, rows), tuple(rejects), tuple(answers))

    def _ask_all(
        self,
        client: httpx.Client,
        pending: Sequence[_Pending],
        window: Window,
        answers: list[Answer],
        rejects: list[Reject],
    ) -> None:
        """Round after round, each series moves on to its next provider; a provider is asked for all it can give."""
        providers: dict[str, Provider | ProviderError] = {}
        while any(p.provider for p in pending):
            heads = {p.provider: None for p in pending if p.provider}
            for name in heads:
                group = [p for p in pending if p.provider == name]
                if name not in providers:
                    providers[name] = self._built(name, client)
                results = _asked(providers[name], [p.spec for p in group], window)
                for p in group:
                    result = results[p.spec]
                    answers.append(_settle(p, name, result))
                    if isinstance(result, Harvest):
                        rejects.extend(result.rejects)
                    elif result.reaction is Reaction.STOP:
                        providers[name] = result  # not asked again in this fetch

    def _built(self, name: str, client: httpx.Client) -> Provider | ProviderError:
        kind = PROVIDERS[name]
        secret = self._secrets.get(kind.key_variable) if kind.key_variable else None
        if secret is None and kind.key_variable and kind.key_required:
            return NoKey(name, f"no key: set {kind.key_variable} or {kind.key_variable}_FILE")
        return kind(
            ProviderHttp(
                name,
                self._urls.get(name) or kind.default_url(secret is not None),
                client,
                circuit=Circuit(name, self._state, self._clock),
                budget=Budget(name, kind.quota, self._state, self._clock),
                clock=self._clock,
                sleep=self._sleep,
                rng=self._rng,
                key=kind.placed_key(secret) if secret is not None else None,
            )
        )


def _asked(
    provider: Provider | ProviderError, specs: Sequence[SeriesSpec], window: Window
) -> Mapping[SeriesSpec, Harvest | ProviderError]:
    if isinstance(provider, ProviderError):
        return dict.fromkeys(specs, provider)
    if specs[0].dataset not in provider.datasets:
        return dict.fromkeys(specs, Unsupported(provider.name, f"has no {specs[0].dataset}"))
    try:
        return provider.fetch(specs, window)
    except ProviderError as error:
        return dict.fromkeys(specs, error)


def _settle(pending: _Pending, provider: str, result: Harvest | ProviderError) -> Answer:
    """Take what the provider gave, decide whether the next one is asked, and say so."""
    pending.next_provider += 1
    series = pending.spec.id
    if isinstance(result, ProviderError):
        return Answer(provider, series, 0, "failed", result.kind, str(result))
    fresh = {row["ts"]: row for row in result.rows if row["ts"] not in pending.rows}
    pending.rows |= fresh  # the provider asked first keeps its rows
    pending.done = result.missing is None
    if result.missing is not None:
        return Answer(
            provider, series, len(fresh), "partial" if fresh else "failed", result.missing.kind, str(result.missing)
        )
    return Answer(provider, series, len(fresh), "ok", None, result.remark)


def frame_of(dataset: Dataset, rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a frame with the dataset's columns; numbers stay Decimal, absent values None."""
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS[dataset]), dtype=object)
    for column in ("ts", "available_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return frame
