"""The independent node answers in the shapes of recorded real nodes, and is not lenient with what it is asked."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from stellar_sdk import Account, Keypair, TransactionBuilder, TransactionEnvelope, soroban_rpc
from stellar_sdk.soroban_server import SorobanServer

from tests.keeper.other_ledger import an_other_ledger, contract_id
from tests.keeper.other_node import OtherNode, served

KEY = Keypair.from_raw_ed25519_seed(b"\7" * 32)
PASSPHRASE = "Standalone Network ; February 2017"


def a_node(lean: bool = False) -> OtherNode:
    ledger = an_other_ledger(PASSPHRASE, KEY.public_key, {"USDC": Decimal(1), "XLM": Decimal("0.25")})
    return OtherNode(ledger, close_s=0.02, lean=lean)


def a_call(name: str = "total_supply", sequence: int = 7_001, arguments: Any = ()) -> TransactionEnvelope:
    builder = TransactionBuilder(Account(KEY.public_key, sequence - 1), PASSPHRASE, 100).add_time_bounds(0, 0)
    return builder.append_invoke_contract_function_op(contract_id("vault"), name, list(arguments)).build()


def ask(node: OtherNode, method: str, **params: Any) -> Any:
    return node.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "method", "model"),
    [
        ("health_p27", "getHealth", soroban_rpc.GetHealthResponse),
        ("network_testnet_py", "getNetwork", soroban_rpc.GetNetworkResponse),
        ("fee_stats_p27", "getFeeStats", soroban_rpc.GetFeeStatsResponse),
        ("latest_ledger_v25", "getLatestLedger", None),
        ("account_ledger_entry", "getLedgerEntries", soroban_rpc.GetLedgerEntriesResponse),
        ("simulate_success", "simulateTransaction", soroban_rpc.SimulateTransactionResponse),
        ("simulate_error", "simulateTransaction", soroban_rpc.SimulateTransactionResponse),
        ("send_pending", "sendTransaction", soroban_rpc.SendTransactionResponse),
        ("send_error_bad_seq", "sendTransaction", soroban_rpc.SendTransactionResponse),
        ("get_tx_not_found", "getTransaction", soroban_rpc.GetTransactionResponse),
        ("rpc_error_method_not_found", "getLedgers", None),
    ],
)
def test_answers_have_the_shape_of_recorded_ones(real_data: Path, name: str, method: str, model: Any) -> None:
    recorded = json.loads((real_data / "wire" / "soroban_rpc" / f"{name}.json").read_text())
    theirs = recorded.get("result") or recorded["error"]
    params: dict[str, Any] = {
        "account_ledger_entry": lambda: {"keys": [theirs["entries"][0]["key"]]},
        "simulate_success": lambda: {"transaction": a_call().to_xdr()},
        "simulate_error": lambda: {"transaction": a_call("nothing").to_xdr()},
        "send_pending": lambda: {"transaction": signed(a_node())},
        "send_error_bad_seq": lambda: {"transaction": signed(a_node(), 7_009)},
        "get_tx_not_found": lambda: {"hash": "0" * 64},
    }.get(name, dict)()
    node = a_node()
    node.ledger.accounts["GDAT5HWTGIU4TSSZ4752OUC4SABDLTLZFRPZUJ3D6LKBNEPA7V2CIG54"] = (1, 1)
    answer = ask(node, method, **params)
    ours = answer.get("result") or answer["error"]
    _same_types(ours, theirs)
    if model is not None:
        model.model_validate(ours)


def _same_types(ours: Any, theirs: Any) -> None:
    """Every field of ours is one of theirs and of its type; older recordings write some whole numbers as text."""
    for field, value in ours.items():
        if field == "stateChanges":  # newer than the recordings
            continue
        if isinstance(value, dict):
            _same_types(value, theirs[field])
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            _same_types(value[0], theirs[field][0])
        else:
            same = type(value) is type(theirs[field]) or (str(value).isdigit() and str(theirs[field]).isdigit())
            assert same, field


def signed(node: OtherNode, sequence: int = 7_001) -> str:
    """A call that the SDK simulates and assembles on `node`, signed."""
    with served(node) as url:
        server = SorobanServer(url)
        envelope = server.prepare_transaction(a_call(sequence=sequence))
        server.close()
    envelope.sign(KEY)
    return envelope.to_xdr()


def test_the_sdk_sends_a_transaction_to_its_end() -> None:
    node = a_node()
    envelope = signed(node)
    with served(node) as url:
        server = SorobanServer(url)
        sent = server.send_transaction(TransactionEnvelope.from_xdr(envelope, PASSPHRASE))
        assert sent.status is soroban_rpc.SendTransactionStatus.PENDING
        done = server.poll_transaction(sent.hash, max_attempts=50, sleep_strategy=lambda _: 0)
        server.close()
    assert done.status is soroban_rpc.GetTransactionStatus.SUCCESS
    assert node.ledger.accounts[KEY.public_key][0] == 7_001


@pytest.mark.parametrize(
    ("sequence", "spoil", "code"),
    [
        (7_002, lambda e: None, "txBAD_SEQ"),
        (7_001, lambda e: e.signatures.clear(), "txBAD_AUTH"),
        (7_001, lambda e: setattr(e.transaction, "fee", 200), "txBAD_AUTH"),  # signed for another fee
    ],
)
def test_what_a_real_node_refuses_is_refused(sequence: int, spoil: Any, code: str) -> None:
    from stellar_sdk import xdr

    node = a_node()
    envelope = TransactionEnvelope.from_xdr(signed(node, sequence), PASSPHRASE)
    spoil(envelope)
    answer = ask(node, "sendTransaction", transaction=envelope.to_xdr())["result"]
    assert answer["status"] == "ERROR"
    assert xdr.TransactionResult.from_xdr(answer["errorResultXdr"]).result.code.name == code


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"jsonrpc": "1.0", "id": 1, "method": "getHealth"}, -32600),
        ({"jsonrpc": "2.0", "method": "getHealth"}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "getEvents"}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": {"hash": "ab"}}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": {"transaction": "AAAA"}}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "getLedgerEntries", "params": {"keys": []}}, -32602),
    ],
)
def test_wrong_questions_are_errors(request_: dict[str, Any], code: int) -> None:
    assert a_node().answer(request_)["error"]["code"] == code
