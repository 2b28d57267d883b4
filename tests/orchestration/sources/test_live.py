"""Which provider answers: fallback in the configured order, and what the log of answers says."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from models.contracts.market import COLUMNS, DataMode, Dataset
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.sources.live import PROVIDERS, LiveMarket
from orchestration.universe import load_universe
from tests.orchestration.sources.loopback import (
    Asked,
    Canned,
    DictState,
    Script,
    Wall,
    coin_spec,
    live_market,
    rate_spec,
    serving,
    utc,
)

NOW = utc("2026-03-04T12:00:00")
TODAY = utc("2026-03-04")
STAMP = int(utc("2026-03-04T00:02:31").timestamp())
CHAIN = ("openexchangerates", "fixer", "open_er_api")


def world(**down: Canned) -> Script:
    """All three table providers at one address; `down` replaces the answer of one."""

    def script(asked: Asked) -> Canned:
        name = {"/api/latest.json": "openexchangerates", "/api/latest": "fixer"}.get(asked.path, "open_er_api")
        if name in down:
            return down[name]
        rates = {"USD": 1, "NGN": {"openexchangerates": 1600.1, "fixer": 1600.2, "open_er_api": 1600.3}[name]}
        return {
            "openexchangerates": Canned({"timestamp": STAMP, "base": "USD", "rates": rates}),
            "fixer": Canned({"success": True, "timestamp": STAMP, "base": "USD", "date": "2026-03-04", "rates": rates}),
            "open_er_api": Canned(
                {"result": "success", "time_last_update_unix": STAMP, "base_code": "USD", "conversion_rates": rates}
            ),
        }[name]

    return script


@pytest.mark.parametrize(
    ("down", "provider", "kinds"),
    [
        ({}, "openexchangerates", [None]),
        ({"openexchangerates": Canned({}, 418)}, "fixer", ["banned", None]),
        ({"openexchangerates": Canned("", 500), "fixer": Canned("<html>")}, "open_er_api", ["outage", "schema", None]),
    ],
)
def test_next_provider_answers_and_the_row_says_so(
    down: dict[str, Canned], provider: str, kinds: list[str | None]
) -> None:
    with serving(world(**down)) as server:
        fetch = live_market([rate_spec("USDNGN", *CHAIN)], server.url, Wall(NOW)).fetch(
            Dataset.FX_RATES, TODAY, NOW, NOW
        )
    assert fetch.frame["provider"].tolist() == [provider]
    assert fetch.frame["source"].tolist() == ["official"]
    assert [a.provider for a in fetch.answers] == list(CHAIN[: len(kinds)])
    assert [a.error_kind for a in fetch.answers] == kinds
    assert [a.rows for a in fetch.answers] == [0] * (len(kinds) - 1) + [1]


def test_all_down_gives_no_row_and_every_attempt() -> None:
    with serving(Canned("", 500)) as server:
        fetch = live_market([rate_spec("USDNGN", *CHAIN)], server.url, Wall(NOW)).fetch(
            Dataset.FX_RATES, TODAY, NOW, NOW
        )
    assert fetch.frame.empty
    assert list(fetch.frame.columns) == list(COLUMNS[Dataset.FX_RATES])
    assert [(a.provider, a.error_kind) for a in fetch.answers] == [(p, "outage") for p in CHAIN]


def test_providers_without_their_key_are_skipped_with_a_reason() -> None:
    def keyless(asked: Asked) -> Canned:
        assert asked.path == "/v6/latest/USD"
        return Canned({"time_last_update_unix": STAMP, "base_code": "USD", "rates": {"NGN": 1600.3}})

    with serving(keyless) as server:
        market = live_market([rate_spec("USDNGN", *CHAIN)], server.url, Wall(NOW), keys=False)
        fetch = market.fetch(Dataset.FX_RATES, TODAY, NOW, NOW)
    assert [(a.provider, a.error_kind) for a in fetch.answers] == [
        ("openexchangerates", "no_key"),
        ("fixer", "no_key"),
        ("open_er_api", None),
    ]
    assert fetch.answers[0].error_text is not None
    assert "OPENEXCHANGERATES_APP_ID" in fetch.answers[0].error_text


def test_the_rest_of_a_window_comes_from_the_next_provider() -> None:
    """The mirror has today only; the days before come from the provider behind it, today's row stays."""

    def script(asked: Asked) -> Canned:
        if asked.path == "/v6/latest/USD":
            return Canned({"time_last_update_unix": STAMP, "base_code": "USD", "rates": {"ZAR": 16.9}})
        if asked.path == "/v1/latest":
            return Canned({"amount": 1, "base": "USD", "date": "2026-03-04", "rates": {"ZAR": 16.4}})
        rates = {"2026-03-02": {"ZAR": 16.2}, "2026-03-03": {"ZAR": 16.3}}
        return Canned(
            {"amount": 1, "base": "USD", "start_date": "2026-03-02", "end_date": "2026-03-03", "rates": rates}
        )

    with serving(script) as server:
        market = live_market([rate_spec("USDZAR", "open_er_api", "frankfurter")], server.url, Wall(NOW), keys=False)
        fetch = market.fetch(Dataset.FX_RATES, utc("2026-03-02"), NOW, NOW)
    assert list(zip(fetch.frame["provider"], fetch.frame["rate"], strict=True)) == [
        ("frankfurter", Decimal("16.2")),
        ("frankfurter", Decimal("16.3")),
        ("open_er_api", Decimal("16.9")),
    ]
    assert [(a.outcome, a.rows, a.error_kind) for a in fetch.answers] == [("partial", 1, "no_history"), ("ok", 2, None)]


def test_provider_that_cannot_serve_the_data_is_skipped() -> None:
    spec = replace(coin_spec(), providers=("twelvedata",))
    with serving(Canned()) as server:
        fetch = live_market([spec], server.url, Wall(NOW)).fetch(Dataset.CANDLES, TODAY, NOW, NOW)
    assert (server.asked, [a.error_kind for a in fetch.answers]) == ([], ["unsupported"])


def test_named_series_only_and_strangers_are_said() -> None:
    specs = [rate_spec("USDNGN", *CHAIN), rate_spec("USDKES", *CHAIN)]
    with serving(world()) as server:
        fetch = live_market(specs, server.url, Wall(NOW)).fetch(
            Dataset.FX_RATES, TODAY, NOW, NOW, series=["USDNGN:official", "USDQQQ:official"]
        )
    assert fetch.frame["series"].tolist() == ["USDNGN:official"]
    assert [(a.series, a.error_kind) for a in fetch.answers] == [
        ("USDQQQ:official", "unknown_series"),
        ("USDNGN:official", None),
    ]


@pytest.mark.parametrize("dataset", list(Dataset))
def test_empty_window_and_absent_datasets_ask_nobody(dataset: Dataset) -> None:
    with serving(Canned()) as server:
        fetch = live_market([coin_spec()], server.url, Wall(NOW)).fetch(dataset, NOW, NOW, NOW)
    assert (server.asked, fetch.answers, list(fetch.frame.columns)) == ([], (), list(COLUMNS[dataset]))
    assert str(fetch.frame["ts"].dtype).endswith("UTC]")


def test_market_facts() -> None:
    market = live_market([coin_spec()], "http://127.0.0.1:9", Wall(NOW))
    assert (market.mode, market.name) == (DataMode.LIVE, "live")
    assert (market.history_start(), market.history_end()) == (utc("2026-02-02"), NOW)
    with pytest.raises(ValueError, match=r"providers \['bloomberg'\] do not exist"):
        live_market([rate_spec("USDNGN", "bloomberg")], "", Wall(NOW))


def test_default_universe_is_served_by_these_providers() -> None:
    series = load_universe(DEFAULT_UNIVERSE).series_of(DataMode.LIVE)
    wall = Wall(NOW)
    market = LiveMarket(series, {}, {}, DictState(), wall, wall.sleep, random.Random(1), 30)
    for spec in market.series():
        assert any(spec.dataset in PROVIDERS[p].datasets for p in spec.providers), spec.id


def test_rows_reach_the_warehouse_once(engine: Engine) -> None:
    """The warehouse is the state store, takes the frame as it is, and a second fetch of the window adds nothing."""
    warehouse = Warehouse(engine)
    with serving(world(openexchangerates=Canned({}, 429))) as server:
        market = live_market([rate_spec("USDNGN", *CHAIN)], server.url, Wall(NOW), state=warehouse)
        fetches = [market.fetch(Dataset.FX_RATES, TODAY, NOW, NOW) for _ in range(2)]
        stored = [
            warehouse.store(
                Dataset.FX_RATES,
                f,
                window=(TODAY, NOW),
                data_mode=DataMode.LIVE,
                known_at=NOW,
                started_at=NOW,
                run_id="r",
            )
            for f in fetches
        ]
    assert [s.rows_added for s in stored] == [1, 0]
    assert warehouse.provider_state("openexchangerates").failures == 2
    assert warehouse.provider_state("fixer").budget_used == 1  # a small plan is not asked twice in a few hours
    log = warehouse.read("select provider, outcome, error_kind, rows_added from raw.ingest_log order by id")
    assert log["provider"].tolist() == ["openexchangerates", "fixer"] * 2
    assert log["outcome"].tolist() == ["failed", "ok"] * 2
