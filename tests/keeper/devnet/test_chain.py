"""Queue, bounds, fees and contract errors of the devnet, asked through its JSON-RPC methods with real XDR."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stellar_sdk import (
    Account,
    DecoratedSignature,
    Keypair,
    SorobanServer,
    TransactionBuilder,
    TransactionEnvelope,
    scval,
    xdr,
)
from stellar_sdk.exceptions import PrepareTransactionException, SorobanRpcErrorResponse
from stellar_sdk.soroban_rpc import GetTransactionStatus, SendTransactionStatus

from keeper.devnet.admin import DevnetAdmin, DevnetUnavailable
from keeper.devnet.chain import BAN_LEDGERS, QUEUE_LEDGERS, Chain
from keeper.devnet.envelopes import PASSPHRASE
from keeper.devnet.rpc import Rpc
from keeper.devnet.state import StateError, load
from keeper.devnet.transport import InProcessClient
from keeper.networks import PASSPHRASES
from models.contracts.vault import VaultConfig
from tests.keeper.world import PRICES, a_vault

START_S = 1_790_000_000


class Stage:
    """A chain at 5 s ledgers, a funded key and a vault with 1,000,000 USDC."""

    def __init__(self, path: Path | None = None) -> None:
        self.now_s: float = START_S
        self.chain = Chain(lambda: self.now_s, path, 5.0)
        self.client = InProcessClient(Rpc(self.chain))
        self.server = SorobanServer("http://devnet", self.client)
        self.admin = DevnetAdmin("http://devnet", self.client)
        self.key = Keypair.random()
        self.admin.fund(self.key.public_key)
        self.vault: VaultConfig = self.admin.create_vault(a_vault(), self.key.public_key)[0]
        self.admin.set_prices(PRICES)
        self.usdc, self.btc = (str(a.contract) for a in self.vault.assets[:2])
        self.strategy = next(iter(self.model.strategies))

    @property
    def model(self) -> Any:
        return self.chain.state.vaults[str(self.vault.contract)]

    @property
    def close_s(self) -> int:
        return self.chain.state.close_time_s

    def close(self, ledgers: int = 1) -> None:
        for _ in range(ledgers):
            self.now_s += 5
            self.chain.close_ledger()

    def swap(self, amount: int = 10**10, least: int = 1, deadline: int | None = None) -> xdr.SCVal:
        tokens = [scval.to_address(self.usdc), scval.to_address(self.btc)]
        numbers = [scval.to_int128(amount), scval.to_int128(least), scval.to_uint64(deadline or self.close_s + 60)]
        return scval.to_enum("SwapExactIn", [*tokens, *numbers])

    def build(
        self, *steps: xdr.SCVal, key: Keypair | None = None, sequence: int | None = None, fee: int = 100,
        max_time: int | None = None, max_ledger: int = 0, prepare: bool = True,
    ) -> TransactionEnvelope:  # fmt: skip
        key = key or self.key
        before = self.server.load_account(self.key.public_key).sequence if sequence is None else sequence - 1
        builder = TransactionBuilder(Account(key.public_key, before), PASSPHRASE, fee)
        builder.append_invoke_contract_function_op(
            str(self.vault.contract), "rebalance",
            [scval.to_address(key.public_key), scval.to_vec(list(steps))],
        )  # fmt: skip
        builder.add_time_bounds(0, self.close_s + 60 if max_time is None else max_time)
        envelope = builder.set_ledger_bounds(0, max_ledger).build()
        return self.server.prepare_transaction(envelope) if prepare else envelope

    def send(self, envelope: TransactionEnvelope, *keys: Keypair) -> tuple[SendTransactionStatus, str | None]:
        envelope.signatures.clear()
        for key in keys or (self.key,):
            envelope.sign(key)
        reply = self.server.send_transaction(envelope)
        assert reply.hash == envelope.hash_hex()
        code = reply.error_result_xdr and xdr.TransactionResult.from_xdr(reply.error_result_xdr).result.code.name
        return reply.status, code


@pytest.fixture
def stage() -> Stage:
    return Stage()


PENDING, DUPLICATE = SendTransactionStatus.PENDING, SendTransactionStatus.DUPLICATE
LATER, ERROR = SendTransactionStatus.TRY_AGAIN_LATER, SendTransactionStatus.ERROR


def test_applies_at_the_next_close_and_uses_up_fee_and_sequence(stage: Stage) -> None:
    envelope = stage.build(stage.swap())
    before = stage.chain.state.accounts[stage.key.public_key].balance
    assert stage.send(envelope) == (PENDING, None)
    assert stage.server.get_transaction(envelope.hash_hex()).status is GetTransactionStatus.NOT_FOUND
    stage.close()
    found = stage.server.get_transaction(envelope.hash_hex())
    assert found.status is GetTransactionStatus.SUCCESS
    assert found.ledger == stage.chain.state.ledger
    assert found.result_meta_xdr is not None
    assert xdr.TransactionMeta.from_xdr(found.result_meta_xdr).v == 4
    account = stage.chain.state.accounts[stage.key.public_key]
    assert account.sequence == envelope.transaction.sequence
    assert account.balance == before - envelope.transaction.fee
    # 1,000 USDC less 0.3 % at 90,000 a coin.
    assert stage.model.idle[stage.btc] == 110777
    assert stage.model.applied == 1


def test_the_queue_knows_one_transaction_a_source(stage: Stage) -> None:
    first = stage.build(stage.swap())
    other = stage.build(stage.swap(2 * 10**10))
    lower = stage.build(stage.swap(), sequence=first.transaction.sequence - 1)
    assert stage.send(first) == (PENDING, None)
    assert stage.send(first) == (DUPLICATE, None)
    assert stage.send(other) == (LATER, None)
    assert stage.send(lower) == (ERROR, "txBAD_SEQ")


def test_an_identical_resend_after_inclusion_is_banned_and_then_a_bad_sequence(stage: Stage) -> None:
    envelope = stage.build(stage.swap(), max_time=stage.close_s + 600)
    stage.send(envelope)
    stage.close()
    for _ in range(BAN_LEDGERS):
        assert stage.send(envelope) == (LATER, None)
        stage.close()
    assert stage.send(envelope) == (ERROR, "txBAD_SEQ")
    assert stage.model.applied == 1


def test_what_waits_four_ledgers_is_dropped_and_banned(stage: Stage) -> None:
    envelope = stage.build(stage.swap(), max_time=stage.close_s + 600)
    stage.send(envelope)
    stage.chain.congested = True
    stage.close(QUEUE_LEDGERS - 1)
    assert stage.send(envelope) == (DUPLICATE, None)
    stage.close()
    assert stage.send(envelope) == (LATER, None)
    stage.chain.congested = False
    stage.close(BAN_LEDGERS)
    assert stage.send(envelope) == (PENDING, None)


Change = Callable[[Stage], tuple[TransactionEnvelope, tuple[Keypair, ...]]]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda s: (s.build(s.swap(), sequence=9), ()), "txBAD_SEQ"),
        (lambda s: (s.build(s.swap()), (Keypair.random(),)), "txBAD_AUTH"),
        (lambda s: (s.build(s.swap()), (s.key, Keypair.random())), "txBAD_AUTH_EXTRA"),
        (lambda s: (s.build(s.swap(), max_time=s.close_s + 4), ()), "txTOO_LATE"),
        (lambda s: (s.build(s.swap(), max_time=s.close_s + 5), ()), None),
        (lambda s: (s.build(s.swap(), max_ledger=s.chain.state.ledger + 1), ()), "txTOO_LATE"),
        (lambda s: (s.build(s.swap(), max_ledger=s.chain.state.ledger + 2), ()), None),
        (lambda s: (s.build(s.swap(), fee=99), ()), "txINSUFFICIENT_FEE"),
        (lambda s: (s.build(s.swap(), fee=100), ()), None),
        (lambda s: (s.build(s.swap(), prepare=False), ()), "txSOROBAN_INVALID"),
    ],
)
def test_admission(stage: Stage, make: Change, code: str | None) -> None:
    envelope, keys = make(stage)
    assert stage.send(envelope, *keys) == ((PENDING, None) if code is None else (ERROR, code))


@pytest.mark.parametrize(("hint", "code"), [(None, "txBAD_AUTH_EXTRA"), (b"\x00" * 4, "txBAD_AUTH")])
def test_a_second_or_unnamed_signature(stage: Stage, hint: bytes | None, code: str) -> None:
    envelope = stage.build(stage.swap())
    envelope.sign(stage.key)
    if hint is None:
        envelope.signatures.append(envelope.signatures[0])
    else:
        envelope.signatures[0] = DecoratedSignature(hint, envelope.signatures[0].signature)
    reply = stage.server.send_transaction(envelope)
    assert reply.error_result_xdr is not None
    assert xdr.TransactionResult.from_xdr(reply.error_result_xdr).result.code.name == code


def test_a_signature_for_another_network_is_worth_nothing(stage: Stage) -> None:
    envelope = TransactionEnvelope.from_xdr(stage.build(stage.swap()).to_xdr(), PASSPHRASES["testnet"])
    envelope.sign(stage.key)
    reply = stage.server.send_transaction(envelope.to_xdr())
    assert reply.status is ERROR
    assert reply.error_result_xdr is not None
    assert xdr.TransactionResult.from_xdr(reply.error_result_xdr).result.code.name == "txBAD_AUTH"


@pytest.mark.parametrize(
    "step",
    [
        lambda s: scval.to_enum("Unwind", [scval.to_address(s.strategy), scval.to_uint128(1)]),
        lambda s: scval.to_enum("Unwind", [scval.to_address(s.strategy), scval.to_int128(1), scval.to_int128(1)]),
        lambda s: scval.to_enum("Withdraw", [scval.to_address(s.strategy), scval.to_int128(1)]),
        lambda s: scval.to_symbol("Unwind"),
    ],
)
def test_values_that_the_interface_does_not_know(stage: Stage, step: Callable[[Stage], xdr.SCVal]) -> None:
    with pytest.raises(PrepareTransactionException) as caught:
        stage.build(step(stage))
    assert "InvalidInput" in str(caught.value.simulate_transaction_response.error)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("devnet_setPrices", {"prices": [1]}, -32602),
        ("devnet_createVault", {"vault_id": "v", "rebalance_manager": "G", "deposit": 1, "assets": []}, -32602),
        ("getLedgerEntries", {"keys": [7]}, -32602),
        ("getTransaction", {"hash": None}, -32602),
        ("sendTransaction", [1], -32602),
    ],
)
def test_malformed_parameters_get_an_error_object(stage: Stage, method: str, params: Any, code: int) -> None:
    answer = Rpc(stage.chain).handle({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert answer["error"]["code"] == code


def test_a_fee_that_the_account_cannot_pay(stage: Stage) -> None:
    envelope = stage.build(stage.swap())
    stage.chain.state.accounts[stage.key.public_key].balance = envelope.transaction.fee - 1
    assert stage.send(envelope) == (ERROR, "txINSUFFICIENT_BALANCE")


def test_an_unknown_account_and_bytes_that_are_no_transaction(stage: Stage) -> None:
    stranger = Keypair.random()
    envelope = stage.build(stage.swap(), sequence=1)
    envelope.transaction.source = type(envelope.transaction.source)(stranger.public_key)
    assert stage.send(envelope, stranger) == (ERROR, "txNO_ACCOUNT")
    answer = Rpc(stage.chain).handle({"jsonrpc": "2.0", "id": 7, "method": "sendTransaction",
                                      "params": {"transaction": "AAAA"}})  # fmt: skip
    assert answer["id"] == 7
    assert answer["error"]["code"] == -32602
    assert "invalid_xdr" in answer["error"]["message"]


def strategy_step(name: str, amount: int) -> Callable[[Stage], xdr.SCVal]:
    return lambda s: scval.to_enum(name, [scval.to_address(s.strategy), scval.to_int128(amount)])


@pytest.mark.parametrize(
    ("steps", "number"),
    [
        ((), 125),
        ((lambda s: s.swap(0),), 110),
        ((strategy_step("Unwind", 0),), 110),
        ((strategy_step("Unwind", 1),), 128),
        ((lambda s: scval.to_enum("Unwind", [scval.to_address(s.btc), scval.to_int128(1)]),), 140),
        ((lambda s: s.swap(10**10, 110778),), 201),
        ((lambda s: s.swap(10**14),), 10),
        ((lambda s: s.swap(deadline=s.close_s - 1),), 421),
    ],
)
def test_contract_errors_in_the_simulation(
    stage: Stage, steps: tuple[Callable[[Stage], xdr.SCVal], ...], number: int
) -> None:
    with pytest.raises(PrepareTransactionException) as caught:
        stage.build(*(step(stage) for step in steps))
    assert f"Error(Contract, #{number})" in str(caught.value.simulate_transaction_response.error)


def test_roles_paused_strategies_and_exact_output(stage: Stage) -> None:
    stage.model.strategies[stage.strategy].paused = True
    with pytest.raises(PrepareTransactionException) as caught:
        stage.build(strategy_step("Invest", 5)(stage))
    assert "#144" in str(caught.value.simulate_transaction_response.error)
    stage.model.strategies[stage.strategy].paused = False
    tokens = [scval.to_address(stage.usdc), scval.to_address(stage.btc)]
    numbers = [scval.to_int128(100), scval.to_int128(9_1000000), scval.to_uint64(stage.close_s + 60)]
    out = scval.to_enum("SwapExactOut", [*tokens, *numbers])
    stage.send(stage.build(strategy_step("Invest", 50)(stage), strategy_step("Unwind", 20)(stage), out))
    stage.close()
    assert stage.model.strategies[stage.strategy].amount == 30
    assert stage.model.idle[stage.btc] == 100
    # 100e-7 BTC are 0.9 $; with the fee 0.9027082 USDC, rounded up.
    assert stage.model.idle[stage.usdc] == 10**13 - 30 - 9027082
    stage.model.rebalance_manager = stage.model.manager = Keypair.random().public_key
    with pytest.raises(PrepareTransactionException) as caught:
        stage.build(stage.swap())
    assert "#130" in str(caught.value.simulate_transaction_response.error)


def test_a_failure_on_the_ledger_pays_and_moves_nothing(stage: Stage) -> None:
    envelope = stage.build(stage.swap(10**10, 110777))
    stage.send(envelope)
    stage.admin.set_prices({"BTC": PRICES["BTC"] * 2})
    balance = stage.chain.state.accounts[stage.key.public_key].balance
    stage.close()
    found = stage.server.get_transaction(envelope.hash_hex())
    assert found.status is GetTransactionStatus.FAILED
    assert found.diagnostic_events_xdr
    assert stage.chain.state.accounts[stage.key.public_key].balance == balance - envelope.transaction.fee
    assert (stage.model.applied, stage.model.idle[stage.btc]) == (0, 0)


def test_a_call_without_its_authorization_is_trapped(stage: Stage) -> None:
    envelope = stage.build(stage.swap())
    envelope.transaction.operations[0].auth.clear()  # type: ignore[attr-defined]
    stage.send(envelope)
    stage.close()
    assert stage.server.get_transaction(envelope.hash_hex()).status is GetTransactionStatus.FAILED
    assert stage.model.applied == 0


def test_every_method_answers_in_the_shape_the_sdk_expects(stage: Stage) -> None:
    server = stage.server
    assert server.get_health().status == "healthy"
    assert server.get_network().passphrase == PASSPHRASE
    assert server.get_version_info().version
    assert server.get_fee_stats().soroban_inclusion_fee.p95 == 100
    latest = server.get_latest_ledger()
    header = xdr.LedgerHeaderHistoryEntry.from_xdr(latest.header_xdr).header
    assert header.ledger_seq.uint32 == latest.sequence == stage.chain.state.ledger
    assert xdr.LedgerCloseMeta.from_xdr(latest.metadata_xdr).v == 0
    assert server.get_transaction("0" * 64).latest_ledger_close_time == stage.close_s
    with pytest.raises(SorobanRpcErrorResponse, match="ledger range") as caught:
        server.get_events(start_ledger=1)
    assert caught.value.code == -32602


def test_a_stalled_chain_is_unhealthy(stage: Stage) -> None:
    stage.now_s += 30
    assert stage.server.get_health().status == "healthy"
    stage.now_s += 1
    with pytest.raises(SorobanRpcErrorResponse, match="latency"):
        stage.server.get_health()


def test_deploying_again_finds_the_same_vault(stage: Stage) -> None:
    again, code = stage.admin.create_vault(a_vault(), stage.key.public_key)
    assert again == stage.vault
    assert len(code) == 64
    assert stage.admin.create_vault(a_vault("other"), stage.key.public_key)[0].contract != stage.vault.contract


@pytest.mark.parametrize("prices", [{"BTC": "NaN"}, {"BTC": "0"}, {"BTC": "x"}])
def test_impossible_prices_are_refused(stage: Stage, prices: dict[str, Any]) -> None:
    with pytest.raises(DevnetUnavailable, match=r"prices\.BTC"):
        stage.admin.set_prices(prices)
    with pytest.raises(DevnetUnavailable, match="address"):
        stage.admin.fund("nobody")


def test_a_restart_continues_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "chain.json"
    stage = Stage(path)
    envelope = stage.build(stage.swap())
    stage.send(envelope)
    stage.close(3)
    seen = (stage.chain.state.ledger, stage.close_s)
    later = Chain(lambda: stage.now_s, path, 5.0)
    assert (later.state.ledger, later.state.close_time_s) > seen
    assert later.state.applied[envelope.hash_hex()].success
    assert later.state.vaults == stage.chain.state.vaults
    assert later.state.accounts == stage.chain.state.accounts


def test_a_file_that_is_no_state_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "chain.json"
    for content in ("{", "{}", '{"format": 99}', '{"format": 1}'):
        path.write_text(content)
        with pytest.raises(StateError, match="move it away"):
            load(path)
        assert path.read_text() == content
