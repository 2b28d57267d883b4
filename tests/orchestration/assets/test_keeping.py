"""The keeper as assets, where the vault lives on a network of settings: acted, unreachable, not configured."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine, text
from stellar_sdk import Keypair

from keeper.store import KeeperStore
from orchestration.assets.keeping import keeper_decisions, keeper_reconcile, vault_snapshots
from orchestration.resources.vault_chain import VaultChain
from orchestration.resources.workspace import Workspace
from orchestration.settings import current_settings
from tests.keeper.other_ledger import OtherLedger, an_other_ledger
from tests.keeper.other_node import OtherNode, served
from tests.orchestration.conftest import NOW, catalogue

PRICES = {"USDC": Decimal(1), "BTC": Decimal(90_000), "cNGN": 1 / Decimal(1500)}


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtherLedger]:
    """A network whose settings are in the environment, with a node that is asked by BALLAST_KEEPER_RPC_URLS."""
    with engine.begin() as connection:
        catalogue(connection)
        connection.execute(
            text("create table features.volatility (series text, kind text, as_of timestamptz, close float8)")
        )
        connection.execute(
            text(
                "insert into features.volatility values ('BTC', 'candles', :now, 90000), "
                "('USDNGN:official', 'ranges', :now, 1500)"
            ),
            {"now": NOW},
        )
    key = Keypair.random()
    made = an_other_ledger("Mine", key.public_key, PRICES)
    with served(OtherNode(made)) as url:
        for name, value in {
            "BALLAST_KEEPER_NETWORK_PASSPHRASE": "Mine",
            "BALLAST_KEEPER_RPC_URLS": url,
            "BALLAST_KEEPER_ACCOUNT": key.public_key,
            "BALLAST_KEEPER_VAULT_CONTRACT": made.vault,
            "BALLAST_KEEPER_PHASE": "shadow",
            "BALLAST_STATE": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        yield made


def run(workspace: Workspace) -> list[str]:
    """Materialize both assets, follow what is open, and return the reasons of the newest decision."""
    chain = VaultChain.of(current_settings())
    assert "http" not in str(chain.variables), "addresses of nodes are not shown in the UI"
    resources = {"workspace": workspace, "chain": chain}
    assert dg.materialize([keeper_decisions, vault_snapshots], resources=resources).success
    assert keeper_reconcile.execute_in_process(resources=resources).success
    return list(KeeperStore(workspace.warehouse.engine).latest("mixed")[0]["reasons"])


def test_a_vault_on_a_network_is_judged_and_recorded(workspace: Workspace, ledger: OtherLedger) -> None:
    assert run(workspace) == ["no_target"]
    (row,) = workspace.warehouse.rows("select source, tvl_usd::text as tvl from raw.vault_snapshots")
    assert (row["source"], Decimal(row["tvl"])) == ("private", Decimal(1_000_000))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("BALLAST_KEEPER_RPC_URLS", "http://127.0.0.1:1", "chain_unavailable"),
        ("BALLAST_KEEPER_VAULT_CONTRACT", "", "not_configured"),
        ("BALLAST_KEEPER_NETWORK_PASSPHRASE", "", "not_configured"),
    ],
)
def test_a_tick_without_a_chain_leaves_a_row_and_its_reason(
    workspace: Workspace, ledger: OtherLedger, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    assert run(workspace) == [reason]
    assert workspace.warehouse.rows("select 1 from raw.vault_snapshots") == []
