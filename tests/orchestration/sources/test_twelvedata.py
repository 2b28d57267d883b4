from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from models.contracts.market import Dataset
from tests.orchestration.sources.loopback import Asked, Canned, Wall, live_market, rate_spec, serving, utc

NOW = utc("2026-03-04T12:00:00")


def series(symbol: str, *days: str, status: str = "ok") -> dict[str, Any]:
    values = [{"datetime": d, "open": "1500.10", "high": "1510", "low": "1490", "close": "1505.50"} for d in days]
    return {"meta": {"symbol": symbol, "interval": "1day"}, "values": values, "status": status}


def spec(pair: str = "USDNGN", interval: str = "1d") -> Any:
    return rate_spec(pair, "twelvedata", interval=interval, name="twelvedata")


def fetch(canned: Any, *specs: Any, start: str = "2026-03-01") -> Any:
    with serving(canned) as server:
        found = live_market(specs or [spec()], server.url, Wall(NOW)).fetch(Dataset.FX_RATES, utc(start), NOW, NOW)
    return found, server.asked


def test_newest_first_becomes_rows_in_order_without_the_running_day() -> None:
    found, [asked] = fetch(Canned(series("USD/NGN", "2026-03-04", "2026-03-03", "2026-03-02", "2026-02-27")))
    frame = found.frame
    assert [ts.day for ts in frame["ts"]] == [2, 3]
    assert [str(frame[c].iloc[0]) for c in ("open", "high", "low", "rate")] == ["1500.10", "1510", "1490", "1505.50"]
    assert (asked.query["symbol"], asked.query["interval"], asked.query["timezone"]) == ("USD/NGN", "1day", "UTC")
    assert (asked.query["start_date"], asked.query["end_date"]) == ("2026-03-01 00:00:00", "2026-03-04 11:59:59")


def test_batch_with_an_unknown_pair() -> None:
    unknown = {"code": 400, "message": "**symbol** not found: USD/QQQ.", "status": "error"}
    body = {"USD/NGN": series("USD/NGN", "2026-03-03"), "USD/QQQ": unknown}
    found, asked = fetch(Canned(body), spec(), spec("USDQQQ"))
    assert len(asked) == 1
    assert found.frame["series"].tolist() == ["USDNGN:twelvedata"]
    assert [a.error_kind for a in found.answers] == [None, "unknown_symbol"]


def test_hours() -> None:
    body = series("USD/NGN", "2026-03-04 12:00:00", "2026-03-04 11:00:00", "2026-03-04 10:00:00")
    found, _ = fetch(Canned(body), spec(interval="1h"))
    assert [ts.hour for ts in found.frame["ts"]] == [10, 11]


def test_long_windows_are_asked_in_pieces_newest_first() -> None:
    def script(asked: Asked) -> Canned:
        return Canned(series("USD/NGN", asked.query["start_date"][:10]))

    found, asked = fetch(script, start="2000-01-01")
    assert [a.query["end_date"][:10] for a in asked] == ["2026-03-04", "2012-06-25"]
    assert len(found.frame) == 1  # the other piece starts within a day


def test_minute_credits_are_waited_for_and_day_credits_are_not() -> None:
    message = "You have run out of API credits for the {}. 17 API credits were used, with the limit being 8."
    error = {"code": 429, "status": "error"}
    replies = [Canned(error | {"message": message.format("current minute")}), Canned(series("USD/NGN", "2026-03-03"))]
    found, asked = fetch(lambda _: replies.pop(0))
    assert (len(asked), [a.outcome for a in found.answers]) == (2, ["ok"])
    found, asked = fetch(Canned(error | {"message": message.format("day")}, 429))
    assert (len(asked), [a.error_kind for a in found.answers]) == (1, ["quota"])


BAD = {
    "bad key": ({"code": 401, "message": "**apikey** parameter is incorrect.", "status": "error"}, "bad_key"),
    "plan": ({"code": 403, "message": "available starting with Pro", "status": "error"}, "plan"),
    "plan as 404": (
        {"code": 404, "message": "This symbol is available starting with Grow plan", "status": "error"},
        "plan",
    ),
    "server": ({"code": 500, "message": "oops", "status": "error"}, "outage"),
    "bad parameter": ({"code": 400, "message": "wrong interval", "status": "error"}, "schema"),
    "another pair": (series("EUR/USD", "2026-03-03"), "schema"),
    "not ok": (series("USD/NGN", "2026-03-03", status="partial"), "schema"),
    "twice": (series("USD/NGN", "2026-03-03", "2026-03-03"), "schema"),
    "no date": (series("USD/NGN", "03/03/2026"), "schema"),
    "offset": (series("USD/NGN", "2026-03-03T00:00:00+02:00"), "schema"),
    "no values": ({"meta": {"symbol": "USD/NGN"}, "status": "ok"}, "schema"),
    "list": ([], "schema"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_answers_give_no_row(name: str) -> None:
    body, kind = BAD[name]
    found, _ = fetch(Canned(body))
    assert (len(found.frame), [a.error_kind for a in found.answers]) == (0, [kind])


def test_no_data_for_the_dates_is_an_answer() -> None:
    message = "No data is available on the specified dates. Try setting different start/end dates."
    found, _ = fetch(Canned({"code": 400, "message": message, "status": "error"}))
    assert [(a.outcome, a.rows) for a in found.answers] == [("ok", 0)]


def test_close_is_the_rate() -> None:
    found, _ = fetch(Canned(series("USD/NGN", "2026-03-03")))
    assert found.frame["rate"].tolist() == [Decimal("1505.50")]
