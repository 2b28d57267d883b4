"""Prices the keeper goes by: the newest believed close, never one that is too old or not known yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from models.contracts.vault import PolicyName, VaultAsset, VaultConfig, VaultLimits
from orchestration.resources.vault import prices
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


def test_a_token_of_the_quote_currency_is_worth_one_over_the_rate(warehouse: Warehouse, engine: Engine) -> None:
    _close(engine, "USDNGN:official", "ranges", -24, 1500.0)
    assert prices(VAULT, warehouse, NOW) == {"cNGN": 1 / Decimal("1500")}
