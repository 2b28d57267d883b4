"""Recorded answers of the real services, served over loopback: each is read as what it is, errors included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.contracts.market import Dataset, SeriesSpec
from orchestration.sources.interface import Fetch
from orchestration.sources.live import PROVIDERS
from tests.orchestration.sources.loopback import (
    Asked,
    Canned,
    Wall,
    coin_spec,
    live_market,
    rate_spec,
    serving,
    street_spec,
    utc,
)

pytestmark = pytest.mark.realdata


def serve(real_data: Path, file: str, specs: list[SeriesSpec], start: str, end: str) -> Fetch:
    """The body at every path, with the recorded status. An `end` with a time is now; a bare date is the past."""
    index = {e["file"]: e for e in json.loads((real_data / "wire" / "INDEX.json").read_text(encoding="utf-8"))}
    canned = Canned((real_data / "wire" / file).read_bytes(), index[file]["http_status"])
    now = utc(end) if "T" in end else utc(end) + timedelta(hours=6)
    with serving(canned) as server:
        return live_market(specs, server.url, Wall(now)).fetch(specs[0].dataset, utc(start), utc(end), now)


NOON = ("2026-03-04", "2026-03-04T12:00:00")
DAY = ("2026-03-03", "2026-03-04")
MORNING = ("2026-03-02", "2026-03-02T08:00:00")
AFTERNOON = ("2026-10-07", "2026-10-07T16:00:00")
# file, pair, start, end -> days and rates, or the kind of error
RATES: list[tuple[str, str, str, str, Any]] = [
    ("fixer/latest_eur_2016-08-26.json", "USDZAR", "2016-08-26", "2016-08-26T18:00:00", {26: "14.0497785651"}),
    ("fixer/latest_eur_2016-08-26.json", "EURUSD", "2016-08-26", "2016-08-26T18:00:00", {26: "1.129"}),
    ("fixer/latest_eur_2016-08-26.json", "USDNGN", "2016-08-26", "2016-08-26T18:00:00", "unknown_symbol"),
    ("fixer/latest_eur_2016-08-26.json", "USDZAR", "2016-08-29", "2016-08-29T18:00:00", "stale"),
    # date 2016, timestamp 2022: which day it belongs to cannot be told
    ("fixer/latest_success_timestamp.json", "USDZAR", "2022-05-25", "2022-05-25T18:00:00", "schema"),
    (
        "fixer/timeseries_2012-05-01_2012-05-03.json", "EURUSD", "2012-05-01", "2012-05-04",
        {1: "1.322891", 2: "1.315066", 3: "1.314491"},
    ),
    ("fixer/error_104_monthly_limit.json", "USDNGN", *NOON, "quota"),
    ("fixer/error_105_base_currency_access_restricted.json", "USDNGN", *NOON, "plan"),
    (
        "openexchangerates/latest_2014-05-10.json", "USDNGN", "2014-05-10", "2014-05-10T20:00:00",
        {10: "161.339699"},
    ),
    (
        "openexchangerates/latest_2012-06-24T11.json", "USDKES", "2012-06-24", "2012-06-24T12:00:00",
        {24: "83.879997"},
    ),
    (
        "openexchangerates/latest_2012-06-24T12.json", "USDKES", "2012-06-24", "2012-06-24T13:00:00",
        {24: "83.879997"},
    ),
    (
        "openexchangerates/historical_2015-01-01.json", "USDNGN", "2015-01-01", "2015-01-02",
        {1: "183.860999"},
    ),
    (
        "openexchangerates/latest_withdrawn_2012-06-24.json", "USDNGN", "2012-06-24",
        "2012-06-24T12:00:00", "schema",
    ),
    ("openexchangerates/error_400_not_available.json", "USDNGN", *DAY, "no_history"),
    ("openexchangerates/error_403_not_allowed.json", "USDNGN", *DAY, "plan"),
    ("openexchangerates/error_429_access_restricted.json", "USDNGN", *DAY, "quota"),
    ("open_er_api/latest_gbp_2026-03-02.json", "GBPUSD", *MORNING, {2: "1.342952"}),
    (
        "open_er_api/latest_gbp_2026-03-02.json", "USDTZS", *MORNING,
        {2: "2566.14346082362"},
    ),
    ("open_er_api/latest_gbp_2026-03-02.json", "USDZWL", *MORNING, "unknown_symbol"),
    ("open_er_api/latest_gbp_2026-03-02.json", "USDANG", *MORNING, "unknown_symbol"),
    ("open_er_api/error_quota_reached.json", "USDNGN", *NOON, "quota"),
    ("open_er_api/error_unsupported_code.json", "USDNGN", *NOON, "unknown_symbol"),
    ("frankfurter/latest_usd_2026-10-07.json", "USDCAD", *AFTERNOON, {7: "1.4253"}),
    ("frankfurter/latest_usd_2026-10-07.json", "USDNGN", *AFTERNOON, "unknown_symbol"),
    (
        "frankfurter/range_2024-01-01_2024-01-05.json", "USDCAD", "2024-01-01", "2024-01-06",
        {2: "1.3294", 3: "1.3347", 4: "1.3332", 5: "1.3369"},  # without 2023-12-29, which was not asked for
    ),
    ("frankfurter/error_404_not_found.json", "USDNGN", *DAY, "unknown_symbol"),
    (
        "twelvedata/time_series_eurusd_2024-04.json", "EURUSD", "2024-04-11", "2024-04-16",
        {11: "1.07265", 12: "1.06400", 15: "1.06350"},
    ),
    (
        "twelvedata/time_series_eurusd_2024-04.json", "EURUSD", "2024-04-11", "2024-04-15T20:00:00",
        {11: "1.07265", 12: "1.06400"},  # the 15th is not over
    ),
    ("twelvedata/error_400_symbol.json", "USDNGN", *DAY, "unknown_symbol"),
    ("twelvedata/error_401_apikey.json", "USDNGN", *DAY, "bad_key"),
    ("twelvedata/error_429_credits.json", "USDNGN", *DAY, "quota"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "pair", "start", "end", "expected"), RATES, ids=[f"{r[0].split('/')[1]}-{r[1]}" for r in RATES]
)
def test_rates(real_data: Path, file: str, pair: str, start: str, end: str, expected: Any) -> None:
    fetch = serve(real_data, file, [rate_spec(pair, file.split("/")[0])], start, end)
    if isinstance(expected, str):
        assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, [expected])
        return
    found = {ts.day: rate for ts, rate in zip(fetch.frame["ts"], fetch.frame["rate"], strict=True)}
    assert found.keys() == expected.keys()
    for day, rate in expected.items():
        assert abs(found[day] - Decimal(rate)) < Decimal("1e-9")
    assert (fetch.frame["available_at"] <= utc(end) + timedelta(hours=6)).all()
    assert [a.outcome for a in fetch.answers] == ["ok"]


def test_twelvedata_batch(real_data: Path) -> None:
    specs = [rate_spec(p, "twelvedata") for p in ("USDCZK", "USDEUR", "USDGBP", "USDCHF")]
    fetch = serve(real_data, "twelvedata/time_series_batch_2023-08.json", specs, "2023-08-01", "2023-08-07")
    assert fetch.frame.groupby("series").size().tolist() == [4, 4, 4, 4]
    first = fetch.frame.iloc[0]
    assert (first["series"], first["ts"], first["rate"]) == ("USDCZK:official", utc("2023-08-01"), Decimal("21.81840"))


# file, symbol, first bar, now, rows
KLINES = [
    ("klines_BTCUSDT_1m_2021-10-22.json", "BTCUSDT", "2021-10-22T23:03:00", "2021-10-22T23:12:05", 9),
    ("klines_BTCUSDT_1m_2022-11-08.json", "BTCUSDT", "2022-11-08T22:31:00", "2022-11-09T08:00:00", 500),
    ("klines_EURUSDT_1m_2022-11-08.json", "EURUSDT", "2022-11-08T22:33:00", "2022-11-09T08:00:00", 100),
    ("klines_XLMUSDT_1m_2022-11-08.json", "XLMUSDT", "2022-11-09T06:52:00", "2022-11-10T08:00:00", 500),
]


@pytest.mark.parametrize(("file", "symbol", "first", "now", "rows"), KLINES)
def test_klines(real_data: Path, file: str, symbol: str, first: str, now: str, rows: int) -> None:
    fetch = serve(real_data, f"binance/{file}", [coin_spec(symbol, interval="1m")], first, now)
    assert len(fetch.frame) == rows
    assert fetch.frame["ts"].iloc[0] == utc(first)
    assert [a.outcome for a in fetch.answers] == ["ok"]


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("error_400_invalid_symbol.json", "unknown_symbol"),
        ("error_418_banned_ip.json", "banned"),
        ("error_418_weight.json", "banned"),
        ("error_429_too_many_requests.json", "quota"),
    ],
)
@pytest.mark.parametrize("dataset", [Dataset.CANDLES, Dataset.FUNDING, Dataset.OPEN_INTEREST])
def test_exchange_errors(real_data: Path, dataset: Dataset, file: str, kind: str) -> None:
    spec = coin_spec(dataset=dataset)
    fetch = serve(real_data, f"binance/{file}", [spec], "2026-03-04", "2026-03-04T12:00:00")
    assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, [kind])
    assert "203.0.113.7" not in repr(fetch.answers)


# The recorded searches are those of a buyer; the other side stays empty.
ADVERTS = [
    (
        "search_usdt_usd_searchPage1SuitablePriceStub.json",
        "USD",
        {"rate": "1.014", "n_offers": "2", "depth_base": "17858.40"},
    ),
    (
        "search_usdt_usd_searchPage1NonSuitablePriceStub.json",
        "USD",
        {"rate": "1.0165", "ask": "1.016", "high": "1.017"},
    ),
    ("search_usdt_rub_older_schema.json", "RUB", {"rate": "61.82", "n_offers": "1", "depth_base": "395.57"}),
    ("search_usdt_usd_searchPage1EmptyStub.json", "USD", None),
]


@pytest.mark.parametrize(("file", "fiat", "expected"), ADVERTS)
def test_adverts(real_data: Path, file: str, fiat: str, expected: dict[str, str] | None) -> None:
    body = (real_data / "wire" / "binance_p2p" / file).read_bytes()
    empty = {"code": "000000", "data": [], "total": 0, "success": True}
    with serving(lambda asked: Canned(body if asked.body["tradeType"] == "BUY" else empty)) as server:
        now = utc("2026-03-04T12:00:00")
        fetch = live_market([street_spec("buy", fiat)], server.url, Wall(now)).fetch(
            Dataset.FX_RATES, utc("2026-03-04"), now, now
        )
    if expected is None:
        assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, ["delisted"])
        return
    row = fetch.frame.iloc[0]
    assert {name: Decimal(str(row[name])) for name in expected} == {n: Decimal(v) for n, v in expected.items()}
    assert row["source_regime"] == "free"
    assert "advertiser" not in fetch.frame.to_string()


FOREIGN = ("central_banks", "coingecko", "currencylayer", "ecb", "exchangeratehost", "exchangeratesapi")
# Answers with the very fields that another service documents: only their address tells them apart.
TWINS = {
    ("exchangeratehost/latest.json", "fixer"),
    ("frankfurter/latest_usd_2026-10-07.json", "fixer"),
    ("fixer/latest_success_timestamp.json", "openexchangerates"),
}


def bodies(real_data: Path) -> Iterator[tuple[str, bytes, int]]:
    for entry in json.loads((real_data / "wire" / "INDEX.json").read_text(encoding="utf-8")):
        yield entry["file"], (real_data / "wire" / entry["file"]).read_bytes(), entry["http_status"]


def all_specs(provider: str) -> list[SeriesSpec]:
    if provider == "binance":
        return [coin_spec()]
    if provider == "binance_futures":
        return [coin_spec(dataset=Dataset.FUNDING, interval="8h"), coin_spec(dataset=Dataset.OPEN_INTEREST)]
    if provider == "binance_p2p":
        return [street_spec("buy", "USD")]
    return [rate_spec("USDEUR", provider)]


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_answers_of_other_services_are_refused_by_name(real_data: Path, provider: str) -> None:
    """Every recorded body of every other service, with its status: a typed error, no row, no crash."""
    current: list[Canned] = []

    def script(asked: Asked) -> Canned:
        return current[-1]

    asked = 0
    with serving(script) as server:
        for file, body, status in bodies(real_data):
            if file.startswith(provider) or (file, provider) in TWINS:
                continue
            current.append(Canned(body, status))
            for spec in all_specs(provider):
                now = utc("2026-12-30T12:00:00")
                fetch = live_market([spec], server.url, Wall(now)).fetch(spec.dataset, utc("2026-12-29"), now, now)
                assert len(fetch.frame) == 0, file
                assert [a.outcome for a in fetch.answers] == ["failed"], file
                # `stale` would mean that the answer was understood, and only its date saved us.
                assert fetch.answers[0].error_kind not in (None, "stale"), file
                asked += 1
    assert asked > 50
    assert {file.split("/")[0] for file, _, _ in bodies(real_data)} >= set(FOREIGN)
