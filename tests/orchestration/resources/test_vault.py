"""Prices the keeper goes by: the newest believed close, never one that is too old or not known yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from models.contracts.vault import PolicyName, VaultAsset, VaultConfig, VaultLimits
from orchestration.resources.vault import newest_target, prices, second_prices
from orchestration.resources.warehouse import Warehouse
from tests.orchestration.conftest import catalogue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VAULT = VaultConfig(
    "mixed", "devnet", None,
    (
        VaultAsset("USDC", None, Decimal("0.5"), stable=True),
        VaultAsset("BTC", "BTC", Decimal("0.3")),
        VaultAsset("cNGN", "USDNGN:official", Decimal("0.2"), invert=True),
    ),
    VaultLimits(),
    PolicyName.ON_OFF,
)  # fmt: skip


@pytest.fixture
def warehouse(database_url: str, engine: Engine) -> Warehouse:
    with engine.begin() as connection:
        connection.execute(
            text("create table features.volatility (series text, kind text, as_of timestamptz, close float8)")
        )
        catalogue(connection)
    return Warehouse.connect(database_url)


def _close(engine: Engine, series: str, kind: str, hours: float, close: float | None) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("insert into features.volatility values (:series, :kind, :as_of, :close)"),
            {"series": series, "kind": kind, "as_of": NOW + timedelta(hours=hours), "close": close},
        )


@pytest.mark.parametrize(
    ("hours", "close", "expected"),
    [
        (0, 90_000.0, Decimal("90000")),
        (-2, 90_000.0, Decimal("90000")),  # exactly as old as allowed
        (-2.001, 90_000.0, None),
        (1, 90_000.0, None),  # not known yet
        (0, None, None),
        (0, 0.0, None),
    ],
)
def test_a_leg_has_a_price_only_while_it_is_fresh(
    warehouse: Warehouse, engine: Engine, hours: float, close: float | None, expected: Decimal | None
) -> None:
    _close(engine, "BTC", "candles", hours, close)
    assert prices(VAULT, warehouse, NOW).get("BTC") == expected


def _series(
    engine: Engine, name: str, base: str, quote: str, source: str, kind: str = "candles", **own: object
) -> None:
    row = {"id": name, "kind": kind, "base": base, "quote": quote, "source": source, "scored": True} | own
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, "
                "quote, source, scored, data_mode) select :id, dataset, interval, :kind, calendar, publication_lag_s, "
                "max_age_s, :base, :quote, :source, :scored, data_mode from ops.series where kind = :like"
            ),
            row | {"like": "candles" if kind == "candles" else "ranges"},
        )


@pytest.mark.parametrize(
    ("series", "hours", "expected"),
    [
        (("BTC:other", "BTC", "USD", "other"), 0, Decimal("90100")),  # dollars of any kind
        (("BTC:other", "BTC", "USDT", "other"), -2, Decimal("90100")),
        (("BTC:other", "BTC", "USDT", "other"), -2.001, None),  # too old
        (("BTC:other", "BTC", "USDT", "other"), 1, None),  # not known yet
        (("BTC:other", "BTC", "USDT", "s"), 0, None),  # the same source again is no second one
        (("BTC:other", "BTC", "EUR", "other"), 0, None),
        (("ETH:other", "ETH", "USDT", "other"), 0, None),
    ],
)
def test_the_second_price_is_of_another_source(
    warehouse: Warehouse, engine: Engine, series: tuple[str, str, str, str], hours: float, expected: Decimal | None
) -> None:
    _series(engine, *series)
    _close(engine, "BTC", "candles", 0, 90_000.0)
    _close(engine, series[0], "candles", hours, 90_100.0)
    assert second_prices(VAULT, warehouse, NOW).get("BTC") == expected
    assert prices(VAULT, warehouse, NOW)["BTC"] == 90_000


def test_a_second_rate_is_turned_around_as_the_first_is(warehouse: Warehouse, engine: Engine) -> None:
    _series(engine, "USDNGN:bank", "USD", "NGN", "bank", "fixings")
    _close(engine, "USDNGN:bank", "fixings", -24, 1600.0)
    assert second_prices(VAULT, warehouse, NOW) == {"cNGN": 1 / Decimal("1600")}


@pytest.mark.parametrize("scored", [True, False])
def test_the_forecast_and_the_second_prices_come_with_the_target(
    warehouse: Warehouse, engine: Engine, scored: bool
) -> None:
    with engine.begin() as connection:
        score_id = connection.scalar(
            text(
                "insert into risk.scores (subject, subject_kind, horizon_days, as_of, issued_at, valid_until, status, "
                "reasons, score, sigma_ann, model_name, model_version, data_mode, share_imputed, share_stale, "
                "degraded, drivers) values ('vault:mixed', 'vault', 1, :now, :now, :now, 'ok', '{}', 20, 0.31, 'har', "
                "'1', 'live', 0, 0, false, '{}') returning id"
            ),
            {"now": NOW},
        )
        connection.execute(
            text(
                "insert into risk.target_allocations (vault_id, as_of, issued_at, valid_until, state, weights, score, "
                "score_id, model_version, policy_version, reasons, data_mode, share_imputed, degraded) values "
                "('mixed', :now, :now, :now, 'risk_on', :weights, 20, :score, '1', 'onoff-1', '{}', 'live', 0, false)"
            ),
            {"now": NOW, "score": score_id if scored else None, "weights": '{"USDC": "0.5", "BTC": "0.5"}'},
        )
    found = newest_target(VAULT, warehouse, {"BTC": Decimal(1)}, {"BTC": Decimal(2)})
    assert found is not None
    assert (found.target.sigma_ann, found.target.usable) == (0.31 if scored else None, True)
    assert (found.prices, found.second_prices) == ({"BTC": Decimal(1)}, {"BTC": Decimal(2)})


def test_a_token_of_the_quote_currency_is_worth_one_over_the_rate(warehouse: Warehouse, engine: Engine) -> None:
    _close(engine, "USDNGN:official", "ranges", -24, 1500.0)
    assert prices(VAULT, warehouse, NOW) == {"cNGN": 1 / Decimal("1500")}
