"""`ballast keeper` on a network that it knows by settings alone, phase after phase, against an independent node."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool
from stellar_sdk import Keypair, TransactionEnvelope

from keeper.intent import IntentState
from keeper.store import KeeperStore
from models.allocation.policy import POLICY_VERSIONS
from models.contracts.clock import MarketClock
from models.contracts.market import DataMode
from models.contracts.vault import PolicyName
from orchestration.local import cli
from orchestration.local.database import workspace_databases
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import current_settings
from tests.keeper.other_ledger import OtherLedger, an_other_ledger, contract_id
from tests.keeper.other_node import OtherNode, served
from tests.orchestration.conftest import catalogue
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PASSPHRASE = "Standalone Network ; February 2017"
PRICES = {"USDC": Decimal(1), "BTC": Decimal(90_000), "cNGN": 1 / Decimal(1500)}
WEIGHTS = {"USDC": "0.60", "BTC": "0.30", "cNGN": "0.10"}


@dataclass
class Site:
    engine: Engine
    ledger: OtherLedger
    key: Keypair
    nodes: list[OtherNode]
    serve: Callable[[], str]
    set: Callable[[str, str], None]
    capsys: pytest.CaptureFixture[str]

    def told(self, *words: str) -> tuple[int, str]:
        code = cli.main(["keeper", *words])
        captured = self.capsys.readouterr()
        return code, captured.out + captured.err

    @property
    def store(self) -> KeeperStore:
        return KeeperStore(self.engine)

    @property
    def sent(self) -> int:
        return sum(node.asked.count("sendTransaction") for node in self.nodes)

    def waiting(self) -> str:
        (intent,) = self.store.open_intents_of("mixed")
        assert intent.state is IntentState.SIMULATED
        return str(intent.id)


@pytest.fixture
def site(
    on_test_server: None,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Site]:
    url = workspace_databases(current_settings()).ballast
    engine = create_engine(url, poolclass=NullPool)
    warehouse = Warehouse.connect(url)
    warehouse.set_market("simulated", DataMode.SIMULATED, 7, MarketClock(NOW, None, 1.0))
    warehouse.close()
    with engine.begin() as connection:
        catalogue(connection)
        connection.execute(text("insert into ops.vaults (id, config, is_kept) values ('mixed', '{}', true)"))
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
        connection.execute(
            text(
                "insert into risk.target_allocations (vault_id, as_of, issued_at, valid_until, state, weights, score, "
                "model_version, policy_version, reasons, data_mode, share_imputed, degraded) values ('mixed', :now, "
                ":now, :until, 'risk_on', cast(:weights as jsonb), 20, 'har-1', :policy, '{test}', 'simulated', 0, "
                "false)"
            ),
            {"now": NOW, "until": NOW + timedelta(hours=2), "weights": json.dumps(WEIGHTS),
             "policy": POLICY_VERSIONS[PolicyName.VOLATILITY_TARGET]},
        )  # fmt: skip
    key = Keypair.random()
    seed = tmp_path / "keeper.seed"
    seed.write_text(key.secret)
    seed.chmod(0o600)
    ledger, nodes = an_other_ledger(PASSPHRASE, key.public_key, PRICES), list[OtherNode]()
    for name, value in {
        "BALLAST_KEEPER_NETWORK_PASSPHRASE": PASSPHRASE,
        "BALLAST_KEEPER_ACCOUNT": key.public_key,
        "BALLAST_KEEPER_VAULT_CONTRACT": ledger.vault,
        "BALLAST_SIGNER": "local",
        "BALLAST_SIGNER_KEY": str(seed),
        "BALLAST_KEEPER_RPC_URLS": "",  # so that what a command exports is taken back
    }.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:

        def serve() -> str:
            nodes.append(OtherNode(ledger, peer=nodes[0] if nodes else None))
            return stack.enter_context(served(nodes[-1]))

        yield Site(engine, ledger, key, nodes, serve, monkeypatch.setenv, capsys)


def test_once_needs_nothing_but_settings(site: Site) -> None:
    one, two = site.serve(), site.serve()
    code, said = site.told("once", "--rpc-url", one, "--rpc-url", two)
    assert (code, "mixed: rebalance" in said, "intent confirmed" in said) == (0, True, True), said
    assert site.ledger.holdings[contract_id("USDC")] == 600_000 * 10**7
    assert site.ledger.holdings[contract_id("BTC")] == 300_000 * 997 * 10**6 // (90_000 * 1000)
    assert site.ledger.accounts[site.key.public_key][0] == 7_001
    code, said = site.told("once", "--rpc-url", one)
    assert (code, "mixed: hold" in said) == (0, True), said
    assert site.ledger.accounts[site.key.public_key][0] == 7_001
    assert site.told("reconcile", "--rpc-url", one) == (0, "mixed: 0 open\n")
    code, said = site.told("status")
    assert (code, "confirmed" in said) == (0, True)


def test_without_a_network_the_vault_lives_on_the_embedded_devnet(site: Site) -> None:
    for name in ("NETWORK_PASSPHRASE", "ACCOUNT", "VAULT_CONTRACT"):
        site.set(f"BALLAST_KEEPER_{name}", "")
    code, said = site.told("once")
    assert (code, "intent confirmed" in said) == (0, True), said
    assert site.store.latest("mixed")[0]["phase"] == "devnet"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("BALLAST_KEEPER_VAULT_CONTRACT", "", "BALLAST_KEEPER_VAULT_CONTRACT: names no contract for vault mixed"),
        ("BALLAST_KEEPER_VAULT_CONTRACT", contract_id("USDC"), "vault mixed: contract .* is no vault of this network"),
        ("BALLAST_KEEPER_NETWORK_PASSPHRASE", "", "BALLAST_KEEPER_NETWORK_PASSPHRASE: is not set"),
        ("BALLAST_KEEPER_TOKENS", f"EURC={contract_id('BTC')}", "vault mixed: has no leg EURC"),
        ("BALLAST_SIGNER", "vault", "vault mixed: BALLAST_SIGNER_ENDPOINT: it is not set"),
        ("BALLAST_ENVIRONMENT", "production", "a key in a file signs nothing in production"),
    ],
)
def test_what_is_missing_is_one_line(site: Site, name: str, value: str, message: str) -> None:
    site.set(name, value)
    code, said = site.told("once", "--rpc-url", site.serve())
    assert code == 2
    assert len(said.strip().splitlines()) == 1
    assert re.search(message, said), said
    assert site.sent == 0


def test_another_s_key_signs_nothing(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.seed"
    other.write_text(Keypair.random().secret)
    other.chmod(0o600)
    site.set("BALLAST_SIGNER_KEY", str(other))
    code, said = site.told("once", "--rpc-url", site.serve())
    assert code == 1, said
    assert "intent rejected" in said
    assert site.sent == 0


def test_a_testnet_is_a_dry_run(site: Site) -> None:
    site.ledger.passphrase = "Test SDF Network ; September 2015"
    site.set("BALLAST_KEEPER_NETWORK_PASSPHRASE", "testnet")
    code, said = site.told("once", "--rpc-url", site.serve())
    assert (code, "intent skipped" in said) == (0, True), said
    assert site.store.latest("mixed")[0]["phase"] == "testnet"
    assert site.sent == 0
    (intent_id,) = [row["intent_id"] for row in site.store.latest("mixed")]
    code, said = site.told("export-unsigned", str(intent_id), "--rpc-url", site.serve())
    assert "as last simulated" in said


def test_each_move_waits_for_leave(site: Site) -> None:
    site.set("BALLAST_KEEPER_PHASE", "approve")
    url = site.serve()
    code, said = site.told("once", "--rpc-url", url)
    intent = site.waiting()
    assert (code, f"waits for `ballast keeper approve {intent}`" in said) == (0, True), said
    assert site.told("reconcile", "--rpc-url", url)[0] == 1, "it stays open"
    assert site.waiting() == intent
    assert site.sent == 0
    code, said = site.told("approve", intent, "--by", "ann")
    assert (code, "approved" in said) == (0, True), said
    code, said = site.told("reconcile", "--rpc-url", url)
    assert (code, "confirmed" in said) == (0, True), said
    assert site.ledger.accounts[site.key.public_key][0] == 7_001
    assert site.store.noted(UUID(intent), "approved") == [{"by": "ann"}]
    code, said = site.told("approve", intent)
    assert (code, "is confirmed: only one that is not signed yet" in said) == (2, True)


def test_a_declined_move_never_happens(site: Site) -> None:
    site.set("BALLAST_KEEPER_PHASE", "approve")
    url = site.serve()
    site.told("once", "--rpc-url", url)
    intent = site.waiting()
    assert site.told("decline", intent, "thin market", "--by", "ann") == (0, f"intent {intent} cancelled\n")
    assert site.told("reconcile", "--rpc-url", url) == (0, "mixed: 0 open\n")
    assert site.store.intent(UUID(intent)).reason == "declined by ann: thin market"
    assert site.told("approve", intent)[0] == 2
    assert site.sent == 0


def test_a_signature_by_hand_and_the_keeper_s_own_cannot_both_land(site: Site) -> None:
    site.set("BALLAST_KEEPER_PHASE", "approve")
    url = site.serve()
    site.told("once", "--rpc-url", url)
    intent = site.waiting()
    code = cli.main(["keeper", "export-unsigned", intent, "--rpc-url", url, "--valid-for", "900"])
    out = json.loads(site.capsys.readouterr().out)
    envelope = TransactionEnvelope.from_xdr(out["unsigned_xdr"], PASSPHRASE)
    assert (code, out["hash"], out["sequence"]) == (0, envelope.hash_hex(), "7001")
    assert (out["source"], out["network_passphrase"]) == (site.key.public_key, PASSPHRASE)
    assert 800 < out["seconds_left"] <= 900
    bounds = envelope.transaction.preconditions
    assert bounds is not None
    assert bounds.ledger_bounds is not None
    assert bounds.time_bounds is not None
    assert bounds.ledger_bounds.max_ledger == out["max_ledger"]
    assert out["max_time"] == f"{datetime.fromtimestamp(bounds.time_bounds.max_time, UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert not envelope.signatures
    envelope.sign(site.key)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": {"transaction": envelope.to_xdr()}}
    assert site.nodes[0].answer(asked)["result"]["status"] == "PENDING"
    while site.ledger.accounts[site.key.public_key][0] == 7_000:
        site.nodes[0].answer({"jsonrpc": "2.0", "id": 2, "method": "getHealth"})
    assert site.told("approve", intent)[0] == 0
    code, said = site.told("reconcile", "--rpc-url", url)
    assert "cancelled (vault_changed_since_decision)" in said
    assert site.ledger.accounts[site.key.public_key][0] == 7_001, "once, by hand"


def test_leave_after_an_export_signs_an_envelope_of_the_usual_bounds(site: Site) -> None:
    site.set("BALLAST_KEEPER_PHASE", "approve")
    url = site.serve()
    site.told("once", "--rpc-url", url)
    intent = site.waiting()
    assert site.told("export-unsigned", intent, "--rpc-url", url)[0] == 0
    site.told("approve", intent)
    code, said = site.told("export-unsigned", intent, "--rpc-url", url)
    assert (code, "is approved: the keeper's own signer signs it" in said) == (2, True)
    code, said = site.told("reconcile", "--rpc-url", url)
    assert (code, "confirmed" in said) == (0, True), said


def test_live_without_its_conditions_is_shadow(site: Site) -> None:
    site.set("BALLAST_KEEPER_PHASE", "live")
    code, said = site.told("once", "--rpc-url", site.serve())
    assert code == 1
    assert "kept in shadow, live is refused: signer: a key in a file does not sign here" in said
    assert "intent skipped" in said
    assert site.store.latest("mixed")[0]["phase"] == "shadow"
    assert site.sent == 0


def test_phase_says_what_is_missing(site: Site) -> None:
    url = site.serve()
    code, said = site.told("phase", "--rpc-url", url)
    assert (code, "mixed phase devnet passes" in said) == (0, True), said
    code, said = site.told("phase", "approve", "--rpc-url", url)
    assert (code, "mixed phase approve passes" in said) == (0, True), said
    code, said = site.told("phase", "live", "--rpc-url", url)
    assert (code, "mixed phase live is refused" in said) == (1, True), said
    refused = [line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("  no ")]
    assert refused == ["signer", "code", "tokens", "nodes", "alerts", "clean", "caps"]
    site.ledger.manager = contract_id("vault")
    code, said = site.told("phase", "shadow", "--rpc-url", url)
    assert (code, "no role: the RebalanceManager is" in said) == (1, True), said


def test_an_id_that_is_none_is_one_line(site: Site) -> None:
    nobody = "00000000-0000-0000-0000-000000000005"
    for words in (["approve", nobody], ["decline", nobody, "why"], ["export-unsigned", nobody]):
        code, said = site.told(*words)
        assert (code, f"INTENT: there is none with the id {nobody}" in said) == (2, True)
    assert site.told("export-unsigned", nobody, "--valid-for", "5")[0] == 2
