"""Candles, funding and open interest: paging, the forming bar, faults of single bars and of whole pages."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.contracts.market import COLUMNS, Dataset
from orchestration.sources.provider import to_millis
from tests.orchestration.sources.loopback import Asked, Canned, DictState, Wall, coin_spec, live_market, serving, utc

NOW = utc("2026-03-04T12:00:07")
HOUR = 3_600_000


def bar(opened: int, close: str = "100.50", step: int = HOUR) -> list[Any]:
    return [opened, "100.10", "101.00", "99.90", close, "12.5000", opened + step - 1, "1256.2", 617, "6", "600", "0"]


def exchange(first: str, last: str) -> Any:
    """An exchange that has every hourly bar from `first` to `last` and honours the window."""
    opens = range(to_millis(utc(first)), to_millis(utc(last)) + 1, HOUR)

    def script(asked: Asked) -> Canned:
        assert asked.path == "/api/v3/klines"
        assert (asked.query["symbol"], asked.query["interval"]) == ("BTCUSDT", "1h")
        start, end, limit = (int(asked.query[k]) for k in ("startTime", "endTime", "limit"))
        return Canned([bar(o) for o in opens if start <= o <= end][:limit])

    return script


def test_forming_bar_is_dropped_and_rows_are_exact() -> None:
    with serving(exchange("2026-03-04T00:00:00", "2026-03-04T12:00:00")) as server:
        market = live_market([coin_spec()], server.url, Wall(NOW))
        fetch = market.fetch(Dataset.CANDLES, utc("2026-03-04T09:00:00"), utc("2026-03-05"), NOW)
    frame = fetch.frame
    assert list(frame.columns) == list(COLUMNS[Dataset.CANDLES])
    assert [ts.hour for ts in frame["ts"]] == [9, 10, 11]
    last = frame.iloc[-1]
    assert [str(last[c]) for c in ("open", "high", "low", "close", "volume_base", "volume_quote", "trades")] == [
        "100.10", "101.00", "99.90", "100.50", "12.5000", "1256.2", "617",
    ]  # fmt: skip
    assert (last["source"], last["provider"], last["data_mode"]) == ("binance", "binance", "live")
    assert last["available_at"] == NOW  # came seven seconds after its close
    assert frame["available_at"].iloc[0] == utc("2026-03-04T10:00:00")  # looked up two hours later
    assert [(a.outcome, a.rows) for a in fetch.answers] == [("ok", 3)]


def test_back_fill_pages_and_skips_the_time_before_listing() -> None:
    start = NOW - timedelta(days=120)
    with serving(exchange("2025-12-01T00:00:00", "2026-03-04T12:00:00")) as server:
        fetch = live_market([coin_spec()], server.url, Wall(NOW)).fetch(Dataset.CANDLES, start, NOW, NOW)
    assert len(server.asked) == 3
    assert len(fetch.frame) == (utc("2026-03-04T12:00:00") - utc("2025-12-01")) // timedelta(hours=1)
    assert fetch.frame["ts"].is_unique
    assert fetch.frame["ts"].is_monotonic_increasing


def test_page_that_fails_keeps_the_pages_before() -> None:
    whole = exchange("2025-12-01T00:00:00", "2026-03-04T12:00:00")
    replies = iter([whole, lambda _: Canned({"code": -1121, "msg": "Invalid symbol."}, 400)])
    with serving(lambda asked: next(replies)(asked)) as server:
        market = live_market([coin_spec()], server.url, Wall(NOW))
        fetch = market.fetch(Dataset.CANDLES, utc("2025-12-01"), NOW, NOW)
    assert [(a.outcome, a.rows, a.error_kind) for a in fetch.answers] == [("partial", 1000, "unknown_symbol")]


OPEN = to_millis(utc("2026-03-04T09:00:00"))
PAGES = {
    "out of order": ([bar(OPEN + HOUR), bar(OPEN)], "schema"),
    "twice": ([bar(OPEN), bar(OPEN)], "schema"),
    "before the window": ([bar(OPEN - HOUR)], "schema"),
    "another interval": ([bar(OPEN + n * 60_000, step=60_000) for n in range(5)], "schema"),
    "microseconds": ([bar(OPEN * 1000)], "schema"),
    "short row": ([bar(OPEN)[:8]], "schema"),
    "price is text": ([bar(OPEN, "abc")], "schema"),
    "price is NaN": ([bar(OPEN, "NaN")], "schema"),
    "negative price": ([bar(OPEN, "-1")], "schema"),
    "an object": ({"data": []}, "schema"),
    "ban": ({"code": -1003, "msg": "Way too much request weight used; IP banned until 1772622000000."}, "banned"),
    "weight": ({"code": -1003, "msg": "Too many requests; current limit is 2400 requests per minute."}, "quota"),
    "illegal parameter": ({"code": -1100, "msg": "Illegal characters found."}, "schema"),
}


@pytest.mark.parametrize("name", PAGES)
def test_page_that_is_not_what_was_asked_gives_no_row(name: str) -> None:
    body, kind = PAGES[name]
    with serving(Canned(body)) as server:
        market = live_market([coin_spec()], server.url, Wall(NOW))
        fetch = market.fetch(Dataset.CANDLES, utc("2026-03-04T09:00:00"), NOW, NOW)
    assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, [kind])


def test_single_bad_bars_become_rejects() -> None:
    page = [bar(OPEN, "0"), bar(OPEN + 2 * HOUR), bar(OPEN + 2 * HOUR + 60_000)]
    with serving(Canned(page)) as server:
        market = live_market([coin_spec()], server.url, Wall(NOW + timedelta(hours=1)))
        fetch = market.fetch(Dataset.CANDLES, utc("2026-03-04T09:00:00"), NOW, NOW + timedelta(hours=1))
    assert [ts.hour for ts in fetch.frame["ts"]] == [11]
    assert [(r.reason, r.payload["ts"]) for r in fetch.rejects] == [
        ("not_positive", "2026-03-04T09:00:00+00:00"),
        ("impossible_date", "2026-03-04T11:01:00+00:00"),
    ]


def test_ban_stops_the_other_coins_without_asking() -> None:
    ban = Canned(
        {"code": -1003, "msg": "Way too many requests; IP(203.0.113.7) banned until 1."}, 418, {"Retry-After": "60"}
    )
    specs = [coin_spec(s) for s in ("BTCUSDT", "ETHUSDT", "XLMUSDT")]
    with serving(ban) as server:
        fetch = live_market(specs, server.url, Wall(NOW)).fetch(Dataset.CANDLES, NOW - timedelta(hours=3), NOW, NOW)
    assert len(server.asked) == 1
    assert [a.error_kind for a in fetch.answers] == ["banned"] * 3
    assert "203.0.113.7" not in repr(fetch.answers)


def test_ban_ends_when_its_words_say_so() -> None:
    until, state = NOW + timedelta(hours=30), DictState()
    text = (
        f"Way too much request weight used; IP banned until {int(until.timestamp() * 1000)}. Please use the websocket"
    )
    with serving(Canned({"code": -1003, "msg": text}, 418)) as server:
        market = live_market([coin_spec()], server.url, Wall(NOW), state=state)
        market.fetch(Dataset.CANDLES, NOW - timedelta(hours=3), NOW, NOW)
    assert state.states["binance"].open_until == until


def test_one_unknown_coin_does_not_cost_the_others() -> None:
    def script(asked: Asked) -> Canned:
        if asked.query["symbol"] == "ETHUSDT":
            return Canned({"code": -1121, "msg": "Invalid symbol."}, 400)
        return Canned([bar(OPEN + 2 * HOUR)])

    specs = [coin_spec(s) for s in ("BTCUSDT", "ETHUSDT", "XLMUSDT")]
    with serving(script) as server:
        fetch = live_market(specs, server.url, Wall(NOW)).fetch(Dataset.CANDLES, NOW - timedelta(hours=3), NOW, NOW)
    assert fetch.frame["series"].tolist() == ["BTC", "XLM"]
    assert [a.error_kind for a in fetch.answers] == [None, "unknown_symbol", None]


def test_funding() -> None:
    start = to_millis(utc("2026-03-03"))
    items = [
        {"symbol": "BTCUSDT", "fundingTime": start + n * 8 * HOUR + 7, "fundingRate": rate, "markPrice": ""}
        for n, rate in enumerate(["0.00010000", "-0.03750000", "0", "0.0001", "0.0002"])
    ]

    def script(asked: Asked) -> Canned:
        assert asked.path == "/fapi/v1/fundingRate"
        first, last = int(asked.query["startTime"]), int(asked.query["endTime"])
        return Canned([i for i in items if first <= i["fundingTime"] <= last])

    with serving(script) as server:
        market = live_market([coin_spec(dataset=Dataset.FUNDING, interval="8h")], server.url, Wall(NOW))
        fetch = market.fetch(Dataset.FUNDING, utc("2026-03-03"), NOW, NOW)
    assert [ts.strftime("%dT%H:%M:%S.%f") for ts in fetch.frame["ts"]][:2] == [
        "03T00:00:00.000000",
        "03T08:00:00.000000",
    ]
    assert fetch.frame["funding_rate"].tolist()[:2] == [Decimal("0.00010000"), Decimal("-0.03750000")]
    assert set(fetch.frame["exchange"]) == {"binance"}
    assert len(fetch.frame) == 5


def test_open_interest_reaches_back_thirty_days() -> None:
    def script(asked: Asked) -> Canned:
        assert asked.path == "/futures/data/openInterestHist"
        first, last = int(asked.query["startTime"]), int(asked.query["endTime"])
        assert (last - first) // HOUR < 500
        stamps = range(-(-first // HOUR) * HOUR, last + 1, HOUR)
        row = {"symbol": "BTCUSDT", "sumOpenInterest": "20403.63", "sumOpenInterestValue": "150570784.07"}
        return Canned([row | {"timestamp": t} for t in stamps])

    with serving(script) as server:
        market = live_market([coin_spec(dataset=Dataset.OPEN_INTEREST)], server.url, Wall(NOW))
        fetch = market.fetch(Dataset.OPEN_INTEREST, NOW - timedelta(days=60), NOW, NOW)
        old = market.fetch(Dataset.OPEN_INTEREST, NOW - timedelta(days=60), NOW - timedelta(days=40), NOW)
    assert len(fetch.frame) == 30 * 24
    assert (fetch.frame["oi_base"].iloc[0], fetch.frame["oi_usd"].iloc[0]) == (
        Decimal("20403.63"),
        Decimal("150570784.07"),
    )
    assert [(a.outcome, a.error_kind) for a in fetch.answers] == [("partial", "no_history")]
    assert [(a.outcome, a.error_kind) for a in old.answers] == [("failed", "no_history")]


@pytest.mark.parametrize("dataset", [Dataset.FUNDING, Dataset.OPEN_INTEREST])
@pytest.mark.parametrize(
    "body", [[{"symbol": "ETHUSDT"}], [1], {}, [{"symbol": "BTCUSDT", "timestamp": 1, "fundingTime": 1}]]
)
def test_futures_answers_that_fit_nothing(dataset: Dataset, body: Any) -> None:
    with serving(Canned(body)) as server:
        market = live_market([coin_spec(dataset=dataset)], server.url, Wall(NOW))
        fetch = market.fetch(dataset, NOW - timedelta(days=1), NOW, NOW)
    assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, ["schema"])
