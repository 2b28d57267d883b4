"""Tables of rates: crosses, missing and withdrawn codes, and what the four table providers make of their answers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.contracts.market import Dataset
from orchestration.resources.warehouse_records import ProviderState
from orchestration.sources.errors import ProviderError, SchemaDrift, UnknownSymbol
from orchestration.sources.rates import RateTable
from tests.orchestration.sources.loopback import (
    Asked,
    Canned,
    DictState,
    Script,
    Wall,
    live_market,
    rate_spec,
    serving,
    utc,
)

TABLE = RateTable(
    date(2026, 3, 4), "EUR", {"USD": Decimal("1.25"), "NGN": Decimal("2000"), "KES": 150, "ZWL": Decimal(40)}
)


@pytest.mark.parametrize(
    ("base", "quote", "rate"),
    [
        ("EUR", "NGN", "2000"),
        ("USD", "NGN", "1600"),
        ("USD", "EUR", "0.8"),
        ("NGN", "KES", "0.075"),
        ("USD", "KES", "120"),
        ("EUR", "EUR", "1"),
    ],
)
def test_cross(base: str, quote: str, rate: str) -> None:
    assert TABLE.rate("p", base, quote) == Decimal(rate)


@pytest.mark.parametrize(("base", "quote"), [("USD", "TZS"), ("TZS", "USD"), ("USD", "ZWL")])
def test_missing_and_withdrawn_codes_are_unknown(base: str, quote: str) -> None:
    with pytest.raises(UnknownSymbol):
        TABLE.rate("p", base, quote)


def test_withdrawn_code_is_fine_in_its_time() -> None:
    assert RateTable(date(2016, 8, 26), "EUR", {"HRK": Decimal("7.4893")}).rate("p", "EUR", "HRK") == Decimal("7.4893")


@pytest.mark.parametrize("value", ["x", None, True, 0, -1, Decimal("NaN"), Decimal("1e20"), [1], {"a": 1}])
def test_bad_value_spoils_its_currency_only(value: Any) -> None:
    table = RateTable(date(2026, 3, 4), "USD", {"NGN": value, "KES": Decimal("129.5")})
    with pytest.raises(SchemaDrift):
        table.rate("p", "USD", "NGN")
    assert table.rate("p", "USD", "KES") == Decimal("129.5")


NOW = utc("2026-03-04T12:00:00")  # a Wednesday
STAMP = int(utc("2026-03-04T00:02:31").timestamp())


def stamp(day: str) -> int:
    return int(utc(f"{day}T23:00:00").timestamp())


def fixer(asked: Asked) -> Canned:
    if asked.path == "/api/latest":
        rates = {"USD": 1.25, "NGN": 2000.5}
        return Canned({"success": True, "timestamp": STAMP, "base": "EUR", "date": "2026-03-04", "rates": rates})
    assert asked.path == "/api/timeseries"
    return Canned({"success": False, "error": {"code": 105, "type": "function_access_restricted"}})


def fixer_paid(asked: Asked) -> Canned:
    if asked.path == "/api/latest":
        return fixer(asked)
    rates = {"2026-03-02": {"USD": 1.2, "NGN": 1800}, "2026-03-03": {"USD": 1.25, "NGN": 1900}}
    return Canned({"success": True, "timeseries": True, "base": "EUR", "rates": rates} | dict(asked.query))


def oxr(asked: Asked) -> Canned:
    if asked.path == "/api/latest.json":
        return Canned({"timestamp": STAMP, "base": "USD", "rates": {"NGN": 1600.4}})
    day = asked.path.removeprefix("/api/historical/").removesuffix(".json")
    return Canned({"timestamp": stamp(day), "base": "USD", "rates": {"NGN": 1500 + int(day[-2:])}})


def mirror(asked: Asked) -> Canned:
    assert asked.path == "/v6/latest/USD"
    return Canned({"result": "success", "time_last_update_unix": STAMP, "base_code": "USD", "rates": {"NGN": 1600.4}})


def keyed_mirror(asked: Asked) -> Canned:
    assert asked.path.startswith("/v6/planted-key-")
    body = {"result": "success", "time_last_update_unix": STAMP, "base_code": "USD"}
    return Canned(body | {"conversion_rates": {"NGN": 1600.4}})


def frankfurter(asked: Asked) -> Canned:
    assert asked.query["base"] == "USD"
    if asked.path == "/v1/latest":
        return Canned({"amount": 1.0, "base": "USD", "date": "2026-03-04", "rates": {"ZAR": 16.4}})
    assert asked.path == "/v1/2026-03-02..2026-03-03"
    days = {"2026-02-27": {"ZAR": 16.1}, "2026-03-02": {"ZAR": 16.2}, "2026-03-03": {"ZAR": 16.3}}
    return Canned({"amount": 1.0, "base": "USD", "start_date": "2026-02-27", "end_date": "2026-03-03", "rates": days})


CASES = {
    # provider, script, pair, with keys -> rates by day of March 2026, outcome, kind
    "fixer free": ("fixer", fixer, "USDNGN", True, {4: "1600.4"}, "partial", "plan"),
    "fixer paid": ("fixer", fixer_paid, "USDNGN", True, {2: "1500", 3: "1520", 4: "1600.4"}, "ok", None),
    "oxr": ("openexchangerates", oxr, "USDNGN", True, {2: "1502", 3: "1503", 4: "1600.4"}, "ok", None),
    "mirror": ("open_er_api", mirror, "USDNGN", False, {4: "1600.4"}, "partial", "no_history"),
    "mirror with key": ("open_er_api", keyed_mirror, "USDNGN", True, {4: "1600.4"}, "partial", "no_history"),
    "frankfurter": ("frankfurter", frankfurter, "USDZAR", False, {2: "16.2", 3: "16.3", 4: "16.4"}, "ok", None),
    "frankfurter without": ("frankfurter", frankfurter, "USDNGN", False, {}, "failed", "unknown_symbol"),
}


@pytest.mark.parametrize("case", CASES)
def test_window_of_three_days(case: str) -> None:
    provider, script, pair, keys, rates, outcome, kind = CASES[case]
    with serving(script) as server:
        market = live_market([rate_spec(pair, provider)], server.url, Wall(NOW), keys=keys)
        fetch = market.fetch(Dataset.FX_RATES, utc("2026-03-02"), NOW, NOW)
    frame = fetch.frame
    assert {ts.day: rate for ts, rate in zip(frame["ts"], frame["rate"], strict=True)} == {
        day: Decimal(rate) for day, rate in rates.items()
    }
    assert [(a.outcome, a.error_kind, a.rows) for a in fetch.answers] == [(outcome, kind, len(rates))]
    assert set(frame["provider"]) <= {provider}
    known = dict(zip(frame["ts"].dt.day, frame["available_at"], strict=True))
    assert known.get(4, NOW) == NOW  # followed live: known on arrival
    assert known.get(2, utc("2026-03-03")) == utc("2026-03-03")  # looked up later: known after its lag


@pytest.mark.parametrize("provider", ["fixer", "openexchangerates", "open_er_api"])
def test_old_newest_table_is_stale(provider: str) -> None:
    scripts = {"fixer": fixer, "openexchangerates": oxr, "open_er_api": mirror}
    later = utc("2026-03-05T12:00:00")
    with serving(scripts[provider]) as server:
        market = live_market([rate_spec("USDNGN", provider)], server.url, Wall(later), keys=provider != "open_er_api")
        fetch = market.fetch(Dataset.FX_RATES, utc("2026-03-05"), later, later)
    assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, ["stale"])


@pytest.mark.parametrize(
    ("day", "answer"),
    [("2026-03-08", ("ok", None)), ("2026-03-11", ("ok", None)), ("2026-03-12", ("failed", "stale"))],
)
def test_quiet_days_of_a_business_day_provider_are_no_fault(day: str, answer: tuple[str, str | None]) -> None:
    now = utc(f"{day}T12:00:00")
    friday = {"amount": 1.0, "base": "USD", "date": "2026-03-06", "rates": {"ZAR": 16.4}}
    with serving(Canned(friday)) as server:
        market = live_market([rate_spec("USDZAR", "frankfurter")], server.url, Wall(now))
        fetch = market.fetch(Dataset.FX_RATES, utc(day), now, now)
    assert (len(fetch.frame), [(a.outcome, a.error_kind) for a in fetch.answers]) == (0, [answer])


def test_one_request_serves_all_series_of_a_table() -> None:
    body = {"timestamp": STAMP, "base": "USD", "rates": {"NGN": 1600.4, "KES": 129.5, "EUR": 0.8}}
    specs = [rate_spec(p, "openexchangerates") for p in ("USDNGN", "USDKES", "EURNGN", "USDTZS")]
    with serving(Canned(body)) as server:
        fetch = live_market(specs, server.url, Wall(NOW)).fetch(Dataset.FX_RATES, utc("2026-03-04"), NOW, NOW)
    assert len(server.asked) == 1
    assert fetch.frame["series"].tolist() == ["USDNGN:official", "USDKES:official", "EURNGN:official"]
    assert fetch.frame["rate"].tolist() == [Decimal("1600.4"), Decimal("129.5"), Decimal("2000.5")]
    assert [a.error_kind for a in fetch.answers] == [None, None, None, "unknown_symbol"]


def test_history_of_oxr_leaves_room_for_new_rates_and_skips_weekends() -> None:
    state = DictState()
    state.save_provider_state(ProviderState("openexchangerates", "2026-03", 247, 1000))
    with serving(oxr) as server:
        market = live_market([rate_spec("USDNGN", "openexchangerates")], server.url, Wall(NOW), state=state)
        fetch = market.fetch(Dataset.FX_RATES, utc("2026-02-20"), NOW, NOW)
    assert [a.path for a in server.asked] == [
        "/api/latest.json",
        "/api/historical/2026-03-03.json",
        "/api/historical/2026-03-02.json",
    ]
    assert [(a.outcome, a.error_kind) for a in fetch.answers] == [("partial", "budget")]


def fixer_at(wall: Wall) -> Script:
    """The free plan: newest rates of the day, no history."""

    def script(asked: Asked) -> Canned:
        if asked.path == "/api/timeseries":
            return Canned({"success": False, "error": {"code": 105, "type": "function_access_restricted"}})
        rates = {"USD": 1.25, "NGN": 2000.5, "KES": 150}
        day = {"timestamp": int(wall().timestamp()), "date": wall().date().isoformat()}
        return Canned({"success": True, "base": "EUR", "rates": rates} | day)

    return script


def test_a_small_plan_asked_hourly_lasts_for_the_month() -> None:
    wall, state = Wall(utc("2026-03-01T00:02:00")), DictState()
    days: set[date] = set()
    with serving(fixer_at(wall)) as server:
        market = live_market([rate_spec(pair, "fixer") for pair in ("USDNGN", "USDKES")], server.url, wall, state=state)
        for _ in range(31 * 24):
            now = wall()
            found = market.fetch(Dataset.FX_RATES, now.replace(hour=0, minute=0), now, now)
            assert {a.outcome for a in found.answers} == {"ok"}
            days |= set(found.frame["ts"].dt.date)
            market.fetch(Dataset.FX_RATES, now - timedelta(days=3), now - timedelta(days=2), now)  # a gap of its own
            wall.sleep(3600)
    assert len(days) == 31
    assert len(server.asked) == state.states["fixer"].budget_used <= 100


def test_a_series_asked_for_later_still_gets_its_row() -> None:
    wall, state = Wall(NOW), DictState()
    with serving(fixer_at(wall)) as server:
        market = live_market([rate_spec(pair, "fixer") for pair in ("USDNGN", "USDKES")], server.url, wall, state=state)
        for series, rows in (("USDNGN:official", 1), ("USDKES:official", 1), ("USDNGN:official", 0)):
            assert len(market.fetch(Dataset.FX_RATES, utc("2026-03-04"), NOW, NOW, [series]).frame) == rows
    assert len(server.asked) == 2


def test_oxr_answering_for_another_day_is_drift() -> None:
    body = {"timestamp": stamp("2026-01-07"), "base": "USD", "rates": {"NGN": 1}}
    with serving(Canned(body)) as server:
        market = live_market([rate_spec("USDNGN", "openexchangerates")], server.url, Wall(NOW))
        fetch = market.fetch(Dataset.FX_RATES, utc("2026-03-02"), utc("2026-03-03"), NOW)
    assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, ["schema"])


ERRORS: list[tuple[str, int, Any, str]] = [
    ("fixer", 200, {"success": False, "error": {"code": 101, "type": "invalid_access_key"}}, "bad_key"),
    ("fixer", 200, {"success": False, "error": {"code": 104, "info": "volume reached"}}, "quota"),
    ("fixer", 200, {"success": False, "error": {"code": 105, "type": "base_currency_access_restricted"}}, "plan"),
    ("fixer", 200, {"success": False, "error": {"code": 106, "type": "no_rates_available"}}, "no_history"),
    ("fixer", 200, {"success": False, "error": {"code": 202, "type": "invalid_currency_codes"}}, "unknown_symbol"),
    ("fixer", 200, {"success": False, "error": {"code": 999}}, "schema"),
    ("fixer", 200, {"success": False}, "schema"),
    ("fixer", 200, {"success": False, "base": "EUR", "date": "2026-03-04", "rates": {"USD": 1}}, "schema"),
    ("fixer", 200, {"base": "EUR", "date": "2026-13-04", "rates": {"USD": 1}}, "schema"),
    ("openexchangerates", 401, {"error": True, "status": 401, "message": "invalid_app_id"}, "bad_key"),
    ("openexchangerates", 403, {"error": True, "status": 403, "message": "not_allowed"}, "plan"),
    ("openexchangerates", 429, {"error": True, "status": 429, "message": "access_restricted"}, "quota"),
    ("openexchangerates", 200, {"error": True, "message": "not_available"}, "no_history"),
    ("open_er_api", 200, {"result": "error", "error-type": "quota-reached"}, "quota"),
    ("open_er_api", 404, {"result": "error", "error-type": "unsupported-code"}, "unknown_symbol"),
    ("open_er_api", 403, {"result": "error", "error-type": "invalid-key"}, "bad_key"),
    ("open_er_api", 200, {"result": "error", "error-type": "new-kind"}, "schema"),
    ("frankfurter", 404, {"message": "not found"}, "unknown_symbol"),
    ("frankfurter", 200, {"amount": 100, "base": "USD", "date": "2026-03-04", "rates": {"NGN": 1}}, "schema"),
]


@pytest.mark.parametrize(("provider", "status", "body", "kind"), ERRORS)
def test_errors_of_each_provider(provider: str, status: int, body: Any, kind: str) -> None:
    with serving(Canned(body, status)) as server:
        market = live_market([rate_spec("USDNGN", provider)], server.url, Wall(NOW))
        fetch = market.fetch(Dataset.FX_RATES, utc("2026-03-04"), NOW, NOW)
    assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, [kind])


def test_errors_say_how_to_react() -> None:
    kinds = {cls.kind: cls("p", "x").reaction.value for cls in _family(ProviderError) if cls is not ProviderError}
    assert kinds == {
        "outage": "retry",
        "quota": "stop",
        "budget": "stop",
        "banned": "stop",
        "bad_key": "stop",
        "no_key": "stop",
        "circuit_open": "stop",
        "plan": "skip",
        "unknown_symbol": "skip",
        "schema": "skip",
        "no_history": "skip",
        "stale": "skip",
        "delisted": "skip",
        "unsupported": "skip",
    }


def _family(root: type[ProviderError]) -> list[type[ProviderError]]:
    return [root, *(c for child in root.__subclasses__() for c in _family(child))]


def test_time_of_a_table_is_its_day() -> None:
    assert TABLE.ts == datetime(2026, 3, 4, tzinfo=UTC)
