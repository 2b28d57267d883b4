"""A scripted provider on a loopback port, a clock that sleeping moves, and short ways to build series and markets."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from models.contracts.market import Calendar, Dataset, SeriesKind, SeriesSpec
from orchestration.resources.warehouse_records import ProviderState
from orchestration.settings import Secret
from orchestration.sources.live import PROVIDERS, LiveMarket

KEY = "planted-key-0123456789"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    raw: bytes = b""


@dataclass(frozen=True)
class Canned:
    """`body`: bytes as they are, text encoded, anything else as JSON. `hang`: nothing comes until the test ends."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False

    @property
    def raw(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Script = Callable[[Asked], Canned]


class Loopback:
    """`script` answers; `asked` remembers. Tests may swap the script while it runs."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                parts = urlsplit(self.path)
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    {k.lower(): v for k, v in self.headers.items()},
                    json.loads(raw) if raw else None,
                    raw,
                )
                outer.asked.append(asked)
                canned = outer.script(asked)
                if canned.hang:
                    outer.released.wait()
                    return
                self.send_response(canned.status)
                for name, value in canned.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(canned.raw)))
                self.end_headers()
                self.wfile.write(canned.raw)

            do_GET = do_POST = _serve

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(script: Script | Canned) -> Iterator[Loopback]:
    server = Loopback(script if callable(script) else lambda _: script)
    try:
        yield server
    finally:
        server.close()


class DictState:
    """A state store in memory."""

    def __init__(self) -> None:
        self.states: dict[str, ProviderState] = {}

    def provider_state(self, provider: str) -> ProviderState:
        return self.states.get(provider, ProviderState(provider))

    def save_provider_state(self, state: ProviderState) -> None:
        self.states[state.provider] = state

    def spend_budget(self, provider: str, window: str, limit: int, cost: int = 1) -> bool:
        state = self.provider_state(provider)
        used = (state.budget_used if state.budget_window == window else 0) + cost
        if used > limit:
            return False
        self.states[provider] = replace(state, budget_window=window, budget_used=max(used, 0), budget_limit=limit)
        return True


class Wall:
    """A clock that moves when somebody sleeps."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rate_spec(pair: str = "USDNGN", *providers: str, interval: str = "1d", name: str = "official") -> SeriesSpec:
    return SeriesSpec(
        id=f"{pair}:{name}",
        dataset=Dataset.FX_RATES,
        kind=SeriesKind.FIXINGS,
        calendar=Calendar.FX_WEEK,
        interval=interval,
        publication_lag_s=86_400,
        max_age_s=432_000,
        base=pair[:3],
        quote=pair[3:],
        source=name,
        providers=providers,
    )


def coin_spec(symbol: str = "BTCUSDT", dataset: Dataset = Dataset.CANDLES, interval: str = "1h") -> SeriesSpec:
    provider = "binance" if dataset is Dataset.CANDLES else "binance_futures"
    return SeriesSpec(
        id=symbol.removesuffix("USDT"),
        dataset=dataset,
        kind=SeriesKind.CANDLES,
        calendar=Calendar.ALWAYS,
        interval=interval,
        publication_lag_s=3600 if dataset is Dataset.CANDLES else 0,
        max_age_s=7200,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        source="binance",
        providers=(provider,),
        symbol=symbol,
    )


def street_spec(side: str | None = "buy", fiat: str = "NGN") -> SeriesSpec:
    return SeriesSpec(
        id=f"USDT{fiat}:binance_p2p" + (f":{side}" if side else ""),
        dataset=Dataset.FX_RATES,
        kind=SeriesKind.STREET,
        calendar=Calendar.ALWAYS,
        interval="irregular",
        publication_lag_s=0,
        max_age_s=86_400,
        base="USDT",
        quote=fiat,
        source="binance_p2p",
        providers=("binance_p2p",),
        scored=False,
    )


def live_market(
    series: Sequence[SeriesSpec],
    urls: str | Mapping[str, str],
    wall: Wall,
    *,
    state: Any = None,
    keys: bool = True,
    timeout_s: float = 5.0,
) -> LiveMarket:
    """A market whose providers all live at `urls` (or each at its own), with a key for everybody that takes one."""
    variables = [p.key_variable for p in PROVIDERS.values() if p.key_variable]
    return LiveMarket(
        series,
        {v: Secret(KEY) for v in variables} if keys else {},
        dict.fromkeys(PROVIDERS, urls) if isinstance(urls, str) else urls,
        state if state is not None else DictState(),
        wall,
        wall.sleep,
        random.Random(1),
        history_days=30,
        timeout_s=timeout_s,
    )
