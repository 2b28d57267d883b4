"""The script of the simulated market: what is planted in it on purpose, and when.

Everything here is fixed by date and known in advance, so that tests can ask whether each fault was found and each
true event was kept. Chance is in `market_simulator` and `rate_simulator`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

from models.contracts.market import Dataset

GENESIS = datetime(2021, 1, 1, tzinfo=UTC)
HISTORY_END = datetime(2026, 1, 1, tzinfo=UTC)

EventKind = Literal[
    "outage", "wrong_scale", "wick", "one_trade", "absurd_advert", "thin_offers", "crash", "devaluation", "managed",
    "capped", "delisted", "calm", "burst",
]  # fmt: skip
# missing: a gap scan must list it. hold: not to be believed. flag: used but marked. keep: true, however violent.
Verdict = Literal["missing", "hold", "flag", "keep"]


@dataclass(frozen=True, slots=True)
class PlantedEvent:
    """One planted fault or true event of one series in [start, end).

    `size`: factor of a wrong price, log return of a crash or devaluation, addition to log volatility of calm and
    burst, share of unchanged days of a managed spell; 0 where it means nothing.
    """

    kind: EventKind
    dataset: Dataset
    series: str
    start: datetime
    end: datetime
    size: float
    verdict: Verdict


def _event(kind: EventKind, dataset: Dataset, series: str, start: str, length: str, size: float, verdict: Verdict
           ) -> PlantedEvent:  # fmt: skip
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    count, unit = int(length[:-1]), length[-1]
    end = first + (timedelta(hours=count) if unit == "h" else timedelta(days=count))
    return PlantedEvent(kind, dataset, series, first, end, size, verdict)


_BARS, _RATES = Dataset.CANDLES, Dataset.FX_RATES
COINS = ("BTC", "ETH", "XLM")
_NGN, _KES, _ZAR, _GHS = "USDNGN:official", "USDKES:official", "USDZAR:official", "USDGHS:official"
_STREET, _DESK = "USDTNGN:street", "USDTNGN:p2p_desk"

_EVENTS = (
    # Exchange outages: the first hits all coins at once, as when the exchange itself is down.
    *(_event("outage", _BARS, coin, "2022-03-09T02", "34h", 0, "missing") for coin in COINS),
    _event("outage", _BARS, "BTC", "2021-04-25T04", "5h", 0, "missing"),
    _event("outage", _BARS, "ETH", "2023-03-24T12", "2h", 0, "missing"),
    _event("outage", _BARS, "XLM", "2024-06-11T20", "9h", 0, "missing"),
    _event("outage", _BARS, "BTC", "2025-08-18T11", "1h", 0, "missing"),
    _event("outage", _BARS, "ETH", "2026-01-06T03", "2h", 0, "missing"),
    _event("outage", _RATES, _NGN, "2021-10-04", "5d", 0, "missing"),
    _event("outage", _RATES, _KES, "2024-08-12", "2d", 0, "missing"),
    # Prints of the wrong scale: one bar or one or two days, right again afterwards.
    _event("wrong_scale", _BARS, "ETH", "2022-09-14T13", "1h", 0.01, "hold"),
    _event("wrong_scale", _BARS, "XLM", "2023-11-02T07", "1h", 10.0, "hold"),
    _event("wrong_scale", _RATES, _NGN, "2022-08-10", "1d", 0.01, "hold"),
    _event("wrong_scale", _RATES, _NGN, "2024-09-17", "2d", 0.1, "hold"),
    _event("wrong_scale", _RATES, _KES, "2023-03-15", "1d", 10.0, "hold"),
    _event("wrong_scale", _RATES, _ZAR, "2024-02-07", "1d", 10.0, "hold"),
    _event("wrong_scale", _RATES, _GHS, "2022-05-18", "1d", 0.1, "hold"),
    _event("wrong_scale", _RATES, _STREET, "2024-11-05T08", "4h", 0.1, "hold"),
    # A high that nobody dealt at, and a close made by a single tiny trade.
    _event("wick", _RATES, _KES, "2024-05-21", "1d", 1.6, "flag"),
    _event("one_trade", _BARS, "XLM", "2023-08-20T03", "1h", 1.45, "hold"),
    # Adverts that nobody takes, and a street quote that rests on one of them.
    _event("absurd_advert", _RATES, _STREET, "2022-03-03T08", "4h", 2.4, "flag"),
    _event("absurd_advert", _RATES, "USDTKES:street", "2025-02-12T16", "4h", 2.1, "flag"),
    _event("thin_offers", _RATES, _STREET, "2025-05-14T12", "4h", 1.3, "hold"),
    # True events: violent, and to be kept.
    *(_event("crash", _BARS, coin, "2021-05-19T13", "1h", -0.13, "keep") for coin in COINS),
    *(_event("crash", _BARS, coin, "2022-11-09T20", "1h", -0.09, "keep") for coin in COINS),
    *(_event("crash", _BARS, coin, "2024-08-05T01", "1h", -0.10, "keep") for coin in COINS),
    _event("devaluation", _RATES, _NGN, "2023-06-14", "1d", 0.37, "keep"),
    _event("devaluation", _RATES, _NGN, "2024-01-30", "1d", 0.28, "keep"),
    _event("devaluation", _RATES, _GHS, "2022-10-20", "1d", 0.12, "keep"),
    _event("managed", _RATES, _NGN, "2021-02-01", "100d", 0.85, "keep"),
    _event("managed", _RATES, _NGN, "2022-11-01", "120d", 0.80, "keep"),
    _event("managed", _RATES, _KES, "2021-06-01", "60d", 0.70, "keep"),
    # A desk that may not quote above a cap, loses its offers and is then taken down.
    _event("capped", _RATES, _DESK, "2024-02-20", "17d", 0, "keep"),
    _event("delisted", _RATES, _DESK, "2024-03-08", "2d", 0, "keep"),
    # The recorded history ends quietly and the first day after it does not: a fresh market must show movement.
    *(_event("calm", _BARS, coin, "2025-12-12", "20d", -0.15, "keep") for coin in COINS),
    *(_event("burst", _BARS, coin, "2026-01-01T04", "30h", 1.5, "keep") for coin in COINS),
    *(_event("calm", _RATES, pair, "2025-12-08", "25d", -0.30, "keep") for pair in (_NGN, _KES, _ZAR, _GHS)),
    *(_event("burst", _RATES, pair, "2026-01-02", "4d", 1.0, "keep") for pair in (_NGN, _KES, _ZAR, _GHS)),
)  # fmt: skip


def planted_events() -> tuple[PlantedEvent, ...]:
    """All planted events in order of time."""
    return tuple(sorted(_EVENTS, key=lambda event: (event.start, event.series)))


@cache
def events_of(series: str, *kinds: EventKind) -> tuple[PlantedEvent, ...]:
    """The events of one series and of these kinds, in order of time."""
    return tuple(event for event in planted_events() if event.series == series and event.kind in kinds)
