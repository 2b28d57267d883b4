"""A keeper on a network it knows by settings alone, against a node that shares no code with the devnet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from keeper.connection import ChainUnavailable, Connection
from keeper.gateway import Uncertain
from keeper.intent import IntentState
from keeper.keeper import Keeper, TickOutcome
from keeper.limits import ConfigError, Phase
from keeper.network_connection import NetworkAccess, connect_network
from keeper.networks import PASSPHRASES
from keeper.signing.local_dev import LocalDevSigner
from keeper.store import KeeperStore
from models.contracts.market import DataMode
from models.contracts.vault import Reason, VaultConfig, Verdict
from tests.keeper.other_ledger import OtherLedger, an_other_ledger, contract_id
from tests.keeper.other_node import OtherNode, served
from tests.keeper.world import MARKET_NOW, PRICES, a_row, a_vault

PASSPHRASE = "Standalone Network ; February 2017"


class Site:
    """An independent network with nodes over HTTP, a key whose account is the vault's manager, and the database."""

    def __init__(self, stack: ExitStack, engine: Engine, folder: Path) -> None:
        self._stack = stack
        self.signer = LocalDevSigner(folder / f"{uuid4().hex}.seed")
        self.ledger = an_other_ledger(PASSPHRASE, self.signer.address, {"USDC": Decimal(1), **PRICES})
        self.store = KeeperStore(engine)
        self.vault: VaultConfig = a_vault(f"mixed-{uuid4().hex[:8]}")
        self.nodes: list[OtherNode] = []

    def node(self, ledger: OtherLedger | None = None, lean: bool = False) -> str:
        peer = self.nodes[0] if self.nodes and ledger is None else None
        node = OtherNode(ledger or self.ledger, lean=lean, peer=peer)
        self.nodes.append(node)
        return self._stack.enter_context(served(node))

    def access(self, *urls: str, **changes: object) -> NetworkAccess:
        made = NetworkAccess(PASSPHRASE, urls, self.signer.address, self.ledger.vault)
        return replace(made, **changes)  # type: ignore[arg-type]

    def connect(self, access: NetworkAccess, phase: Phase = Phase.DEVNET) -> Connection:
        connection = connect_network(self.vault, access, phase, self.signer)
        self._stack.callback(connection.close)
        return connection

    def tick(self, connection: Connection, mode: DataMode = DataMode.SIMULATED) -> TickOutcome:
        signer = connection.signer if connection.config.phase.signs else None
        keeper = Keeper(connection.config, self.store, connection.gateway, signer)
        return keeper.tick(a_row(self.vault, mode=mode), MARKET_NOW)


@pytest.fixture
def site(engine: Engine, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, engine, tmp_path)


@pytest.mark.parametrize("lean", [False, True])
def test_the_keeper_moves_a_vault_on_a_network_it_never_saw(site: Site, lean: bool) -> None:
    connection = site.connect(site.access(site.node(lean=lean)))
    assert [(a.contract, a.decimals) for a in connection.config.vault.assets] == [
        (contract_id("USDC"), 7), (contract_id("BTC"), 6), (contract_id("XLM"), 5), (contract_id("cNGN"), 4)
    ]  # fmt: skip
    outcome = site.tick(connection)
    assert (outcome.verdict, outcome.intent_state) == (Verdict.REBALANCE, IntentState.CONFIRMED)
    # 60 % of a million dollars were swapped: 30 % at 90,000 and 0.3 % of fee, in 6 decimals.
    assert site.ledger.holdings[contract_id("USDC")] == 400_000 * 10**7
    assert site.ledger.holdings[contract_id("BTC")] == 300_000 * 997 * 10**6 // (90_000 * 1000)
    assert site.ledger.accounts[site.signer.address][0] == 7_001, "one transaction"
    assert site.nodes[0].asked.count("sendTransaction") == 1


def test_two_nodes_are_one_network(site: Site) -> None:
    outcome = site.tick(site.connect(site.access(site.node(), site.node())))
    assert outcome.intent_state is IntentState.CONFIRMED
    assert site.ledger.accounts[site.signer.address][0] == 7_001


def test_a_dry_run_ends_with_the_simulation(site: Site) -> None:
    connection = connect_network(site.vault, site.access(site.node()), Phase.TESTNET, None)
    outcome = site.tick(connection)
    connection.close()
    assert (outcome.verdict, outcome.intent_state) == (Verdict.REBALANCE, IntentState.SKIPPED)
    assert "simulateTransaction" in site.nodes[0].asked
    assert "sendTransaction" not in site.nodes[0].asked


@pytest.mark.parametrize("passphrase", [PASSPHRASES["testnet"], PASSPHRASES["public"]])
def test_phase_devnet_signs_nothing_on_a_network_of_others(site: Site, passphrase: str) -> None:
    site.ledger.passphrase = passphrase
    url = site.node()
    with pytest.raises(ConfigError, match="phase devnet on network"):
        site.connect(site.access(url, passphrase=passphrase))


@pytest.mark.parametrize(
    ("spoil", "changes", "reason"),
    [
        (lambda ledger: setattr(ledger, "passphrase", "Other"), {}, Reason.WRONG_NETWORK),
        (lambda ledger: setattr(ledger, "manager", ledger.vault), {}, Reason.ROLE_MOVED),
        (lambda ledger: None, {"code_hash": "ab" * 32}, Reason.CODE_CHANGED),
        (lambda ledger: ledger.accounts.update(dict.fromkeys(ledger.accounts, (1, 10 ** 7))), {},
         Reason.BALANCE_BELOW_RESERVE),
        (lambda ledger: ledger.holdings.update({contract_id("EURC"): 5}), {}, Reason.ASSETS_DIFFER),
        (lambda ledger: ledger.accounts.clear(), {}, Reason.CHAIN_UNAVAILABLE),
    ],
)  # fmt: skip
def test_what_is_not_as_agreed_moves_nothing(site: Site, spoil: Any, changes: dict[str, str], reason: Reason) -> None:
    connection = site.connect(site.access(site.node(), **changes))
    spoil(site.ledger)
    outcome = site.tick(connection)
    assert outcome.reasons == (reason,)
    assert "sendTransaction" not in site.nodes[0].asked


def test_money_is_not_moved_by_code_that_nobody_pinned(site: Site) -> None:
    site.ledger.passphrase = PASSPHRASES["public"]
    with pytest.raises(ConfigError, match="phase live on public needs the pinned hash"):
        site.connect(site.access(site.node(), passphrase=PASSPHRASES["public"]), Phase.LIVE)


def test_a_code_hash_that_holds_is_no_obstacle(site: Site) -> None:
    connection = site.connect(site.access(site.node(), code_hash=site.ledger.code.hex()))
    assert site.tick(connection).intent_state is IntentState.CONFIRMED


def test_nodes_of_two_networks_are_no_network(site: Site) -> None:
    elsewhere = replace(site.ledger, passphrase="Other", accounts=dict(site.ledger.accounts))
    outcome = site.tick(site.connect(site.access(site.node(), site.node(elsewhere))))
    assert outcome.reasons == (Reason.WRONG_NETWORK,)


def test_nodes_that_show_one_ledger_differently_are_not_believed(site: Site) -> None:
    connection = site.connect(site.access(site.node(), site.node()))
    site.nodes[1].ledger = replace(site.ledger, accounts={site.signer.address: (7_500, 10**9)})
    gateway = connection.gateway
    said = [gateway.account(site.signer.address) for _ in range(20)]  # in some of these both stand at one ledger
    assert any(isinstance(answer, Uncertain) for answer in said)


def test_a_key_in_a_file_and_made_up_data_move_nothing_on_public(site: Site) -> None:
    site.ledger.passphrase = PASSPHRASES["public"]
    access = site.access(site.node(), passphrase=PASSPHRASES["public"], code_hash=site.ledger.code.hex())
    live = site.connect(access, Phase.LIVE)
    assert site.tick(live).reasons == (Reason.DATA_MODE_NOT_ALLOWED,)
    outcome = site.tick(live, DataMode.LIVE)  # the signer's own last word
    assert outcome.intent_state is IntentState.REJECTED
    assert "sendTransaction" not in site.nodes[0].asked


def test_no_node_at_all(site: Site) -> None:
    with pytest.raises(ChainUnavailable, match="its contract cannot be read"):
        site.connect(site.access("http://127.0.0.1:1"))


def test_a_contract_that_is_no_vault(site: Site) -> None:
    with pytest.raises(ConfigError, match="is no vault of this network"):
        site.connect(site.access(site.node(), contract=contract_id("USDC")))


def test_a_token_that_nobody_names_has_to_be_named(site: Site) -> None:
    token = site.ledger.tokens[contract_id("BTC")]
    token.symbol = "solvBTC"
    url = site.node()
    with pytest.raises(ConfigError, match=r"holds no token called BTC .*BALLAST_KEEPER_TOKENS=BTC=C"):
        site.connect(site.access(url))
    with pytest.raises(ConfigError, match="has no leg EURC"):
        site.connect(site.access(url, tokens={"EURC": token.contract}))
    named = site.connect(site.access(url, tokens={"BTC": token.contract}))
    assert named.config.vault.assets[1].contract == token.contract
    assert named.config.vault.assets[1].decimals == token.decimals == 6, "those of the chain, not the usual 7"


def test_two_tokens_of_one_name_are_not_chosen_between(site: Site) -> None:
    site.ledger.tokens[contract_id("XLM")].symbol = "USDC"
    with pytest.raises(ConfigError, match="two of its tokens are called USDC"):
        site.connect(site.access(site.node()))


def test_the_network_s_own_coin_is_the_leg_xlm(site: Site) -> None:
    site.ledger.tokens[contract_id("XLM")].symbol = "native"
    assets = site.connect(site.access(site.node())).config.vault.assets
    assert {a.symbol: a.contract for a in assets}["XLM"] == contract_id("XLM")


def test_addresses_of_nodes_are_never_shown(site: Site) -> None:
    access = site.access("https://node.example/secret")
    assert "secret" not in f"{access} {access!r}"
