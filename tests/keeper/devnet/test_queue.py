"""Fee bumps, surges, full queues, memories and replicas of the devnet."""

from __future__ import annotations

import pytest
from stellar_sdk import Keypair, TransactionBuilder, TransactionEnvelope, xdr

from keeper.devnet.chain import BAN_LEDGERS
from keeper.devnet.envelopes import PASSPHRASE, parse
from keeper.devnet.replicas import Replica
from keeper.devnet.rpc import Rpc
from keeper.devnet.trouble import gain
from tests.keeper.devnet.test_chain import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def send(stage: Stage, text: str) -> tuple[str, str | None, int | None]:
    """Status, code and fee of the answer to a send."""
    admission = stage.chain.submit(parse(text))
    if admission.result is None:
        return admission.status, None, None
    result = xdr.TransactionResult.from_xdr(admission.result)
    return admission.status, result.result.code.name, result.fee_charged.int64


def signed(stage: Stage, **options: int) -> TransactionEnvelope:
    envelope = stage.build(stage.swap(), **options)  # type: ignore[arg-type]
    envelope.sign(stage.key)
    return envelope


def bump(envelope: TransactionEnvelope, payer: Keypair, bid: int) -> str:
    made = TransactionBuilder.build_fee_bump_transaction(payer, bid, envelope, PASSPHRASE)
    made.sign(payer)
    return made.to_xdr()


def test_a_fee_bump_replaces_from_ten_times_the_bid_on(stage: Stage) -> None:
    payer, envelope = Keypair.random(), signed(stage)
    stage.admin.fund(payer.public_key)
    assert send(stage, envelope.to_xdr())[0] == "PENDING"
    # Two parts of 1,000 each and the resource fee of one instruction, 85,000.
    assert send(stage, bump(envelope, payer, 999)) == ("ERROR", "txINSUFFICIENT_FEE", 2 * 1_000 + 85_000)
    assert send(stage, bump(envelope, payer, 1_000))[0] == "PENDING"
    before = stage.chain.state.accounts[payer.public_key].balance
    stage.close()
    found = stage.server.get_transaction(envelope.hash_hex())
    assert (found.status.value, found.fee_bump) == ("SUCCESS", True)
    assert found.result_xdr is not None
    code = xdr.TransactionResult.from_xdr(found.result_xdr).result.code
    assert code is xdr.TransactionResultCode.txFEE_BUMP_INNER_SUCCESS
    assert before - stage.chain.state.accounts[payer.public_key].balance == 87_000
    assert stage.model.applied == 1


def test_a_surge_says_what_it_wants_and_a_full_queue_bans(stage: Stage) -> None:
    stage.chain.surge_fee = 500
    assert send(stage, signed(stage).to_xdr()) == ("ERROR", "txINSUFFICIENT_FEE", 85_500)
    assert stage.server.get_fee_stats().soroban_inclusion_fee.p95 == 500
    stage.chain.queue_limit = 0
    full = signed(stage, fee=600)
    assert send(stage, full.to_xdr())[0] == "TRY_AGAIN_LATER"
    stage.chain.queue_limit = 1
    assert send(stage, full.to_xdr())[0] == "TRY_AGAIN_LATER"  # banned
    stage.close(BAN_LEDGERS)
    assert send(stage, full.to_xdr())[0] == "PENDING"


def test_a_transaction_is_seen_late_and_forgotten_again(stage: Stage) -> None:
    stage.chain.ingest_lag, stage.chain.retention = 2, 5
    envelope = signed(stage)
    send(stage, envelope.to_xdr())
    seen = []
    for _ in range(8):
        stage.close()
        seen.append(stage.server.get_transaction(envelope.hash_hex()).status.value)
    assert seen == ["NOT_FOUND"] * 2 + ["SUCCESS"] * 3 + ["NOT_FOUND"] * 3


def test_a_replica_shows_the_chain_as_it_was(stage: Stage) -> None:
    late = Rpc(Replica(stage.chain, 2))
    envelope = signed(stage)
    sent = {"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": {"transaction": envelope.to_xdr()}}
    assert late.handle(sent)["result"]["status"] == "PENDING"
    asked = {"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": {"hash": envelope.hash_hex()}}
    seen = []
    for _ in range(3):
        stage.close()
        seen.append(late.handle(asked)["result"]["status"])
    assert seen == ["NOT_FOUND", "NOT_FOUND", "SUCCESS"]
    assert stage.chain.state.ledger - late.handle(asked)["result"]["latestLedger"] == 2


def test_an_unwind_takes_the_fee_on_gains_first(stage: Stage) -> None:
    model, strategy = stage.model, stage.model.strategies[stage.strategy]
    strategy.amount, model.fee_bps = 900, 2_000
    gain(stage.chain, model.address, stage.strategy, 100)
    assert model.funds()[0]["invested"] == 1_000
    with pytest.raises(Exception, match="#128"):
        model._unwind(stage.strategy, 1_000)
    model._unwind(stage.strategy, 980)  # 20 of 100 are the vault's
    assert strategy.amount == 0
