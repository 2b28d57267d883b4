"""Recorded answers of real nodes: what the client makes of them, and that the devnet's have the same fields."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from stellar_sdk import Network, TransactionEnvelope, soroban_rpc
from stellar_sdk.client.base_sync_client import BaseSyncClient
from stellar_sdk.client.response import Response

from keeper.gateway import Fatal, Ok, Outcome, Retryable, SendReply, SendStatus, TxStatus, Uncertain
from keeper.soroban import SorobanGateway
from tests.keeper.devnet.test_chain import Stage

pytestmark = pytest.mark.realdata


@pytest.fixture
def bodies(real_data: Path) -> Path:
    return real_data / "wire" / "soroban_rpc"


def body(bodies: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bodies / f"{name}.json").read_text())
    return found


class Recorded(BaseSyncClient):
    """Transport that answers everything with one text."""

    def __init__(self, text: str, status: int = 200) -> None:
        self._text = text
        self._status = status

    def get(self, url: str, params: Any = None, max_content_size: int | None = None) -> Response:
        return Response(self._status, self._text, {}, url)

    def post(self, url: str, data: Any = None, json_data: Any = None) -> Response:
        try:  # recorded answers are to questions of their time
            text = json.dumps({**json.loads(self._text), "id": json_data["id"]})
        except ValueError:
            text = self._text
        return Response(self._status, text, {}, url)

    def stream(self, url: str, params: Any = None) -> Generator[dict[str, Any], None, None]:
        yield {}

    def close(self) -> None:
        return None


def gateway(text: str, status: int = 200) -> SorobanGateway:
    return SorobanGateway("http://node", Network.TESTNET_NETWORK_PASSPHRASE, Recorded(text, status))


def sent(bodies: Path, name: str) -> Outcome[SendReply]:
    envelope = body(bodies, "request_send_valid")["params"]["transaction"]
    found = body(bodies, name)  # the refusals were of other transactions
    found["result"]["hash"] = TransactionEnvelope.from_xdr(envelope, Network.TESTNET_NETWORK_PASSPHRASE).hash_hex()
    return gateway(json.dumps(found)).send(envelope)


def test_our_hash_is_the_network_s(bodies: Path) -> None:
    envelope = TransactionEnvelope.from_xdr(
        body(bodies, "request_send_valid")["params"]["transaction"], Network.TESTNET_NETWORK_PASSPHRASE
    )
    assert envelope.hash_hex() == body(bodies, "send_pending")["result"]["hash"]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("send_pending", SendStatus.PENDING, None),
        ("send_duplicate", SendStatus.DUPLICATE, None),
        ("send_try_again_later", SendStatus.TRY_AGAIN_LATER, None),
        ("send_error_bad_seq", SendStatus.ERROR, "txBAD_SEQ"),
        ("send_error_with_diagnostics", SendStatus.ERROR, "txBAD_AUTH"),
    ],
)
def test_answers_to_a_send(bodies: Path, name: str, status: SendStatus, code: str | None) -> None:
    answer = sent(bodies, name)
    assert isinstance(answer, Ok)
    assert answer.value.status is status
    assert answer.value.result_code == code


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("get_tx_success_p23", TxStatus.SUCCESS),
        ("get_tx_failed", TxStatus.FAILED),
        ("get_tx_not_found", TxStatus.NOT_FOUND),
        ("get_tx_not_found_zero_fields", TxStatus.NOT_FOUND),
    ],
)
def test_answers_about_a_transaction(bodies: Path, name: str, status: TxStatus) -> None:
    recorded = body(bodies, name)
    answer = gateway(json.dumps(recorded)).transaction(recorded["result"]["txHash"])
    assert isinstance(answer, Ok)
    assert answer.value.status is status
    assert answer.value.clock.ledger == recorded["result"]["latestLedger"]
    # An answer about another hash than the one asked for says nothing.
    assert isinstance(gateway(json.dumps(recorded)).transaction("ab" * 32), Uncertain)


def test_a_status_that_contradicts_its_result_is_not_believed(bodies: Path) -> None:
    recorded = body(bodies, "get_tx_failed")
    recorded["result"]["status"] = "SUCCESS"
    answer = gateway(json.dumps(recorded)).transaction(recorded["result"]["txHash"])
    assert isinstance(answer, Ok)
    assert answer.value.status is TxStatus.CONTRADICTORY


@pytest.mark.parametrize(
    ("text", "http", "kind"),
    [
        ("<html>502 Bad Gateway</html>", 502, Retryable),
        ("", 503, Retryable),
        ('{"jsonrpc": "2.0", "id": 1, "result": {"status": "PEN', 200, (Uncertain, Retryable)),
        ('{"jsonrpc": "2.0", "id": 1, "result": {"status": "MAYBE"}}', 200, Uncertain),
        ('{"jsonrpc": "2.0", "id": 1, "result": null}', 200, Uncertain),
        ('{"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "invalid"}}', 200, Fatal),
        ('{"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "internal"}}', 200, Retryable),
    ],
)
def test_broken_answers_are_sorted_by_reaction(bodies: Path, text: str, http: int, kind: Any) -> None:
    envelope = body(bodies, "request_send_valid")["params"]["transaction"]
    assert isinstance(gateway(text, http).send(envelope), kind)


@pytest.mark.parametrize(
    ("ledger", "close_time_s"),
    [(0, 1_790_000_000), (2**31, 1_790_000_000), (-1, 1_790_000_000), (5, 0), (5, 2**40), (5, -1)],
)
def test_a_ledger_or_a_close_time_that_no_chain_has_is_no_clock(ledger: int, close_time_s: int) -> None:
    """An envelope bounded by such numbers could not be built, or would never expire."""
    result = {
        "status": "NOT_FOUND", "txHash": "0" * 64, "latestLedger": ledger, "latestLedgerCloseTime": str(close_time_s),
        "oldestLedger": 1, "oldestLedgerCloseTime": "1",
    }  # fmt: skip
    answer = gateway(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result})).clock()
    assert answer == Uncertain("unreadable answer: ValueError")


def test_other_recorded_reads(bodies: Path) -> None:
    assert gateway(json.dumps(body(bodies, "fee_stats_p27"))).inclusion_fee() == Ok(200)
    missing = gateway(json.dumps(body(bodies, "account_not_found")))
    assert missing.account("GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWHF") == Fatal("account_missing")
    assert gateway(json.dumps(body(bodies, "network_testnet_py"))).passphrase() == Ok(
        body(bodies, "network_testnet_py")["result"]["passphrase"]
    )


@pytest.mark.parametrize(
    ("name", "method", "params", "model"),
    [
        ("health_p27", "getHealth", {}, soroban_rpc.GetHealthResponse),
        ("fee_stats_p27", "getFeeStats", {}, soroban_rpc.GetFeeStatsResponse),
        ("latest_ledger_v25", "getLatestLedger", {}, soroban_rpc.GetLatestLedgerResponse),
        ("get_tx_not_found", "getTransaction", {"hash": "0" * 64}, soroban_rpc.GetTransactionResponse),
    ],
)
def test_the_devnet_answers_with_the_fields_of_a_real_node(
    bodies: Path, name: str, method: str, params: dict[str, Any], model: Any
) -> None:
    from keeper.devnet.rpc import Rpc

    theirs = body(bodies, name)["result"]
    ours = Rpc(Stage().chain).handle({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})["result"]
    assert {k: type(v) for k, v in ours.items()} == {k: type(v) for k, v in theirs.items()}
    model.model_validate(theirs)
    model.model_validate(ours)


def test_a_transaction_on_the_devnet_looks_like_a_recorded_one(bodies: Path) -> None:
    from keeper.devnet.rpc import Rpc

    stage = Stage()
    envelope = stage.build(stage.swap())
    stage.send(envelope)
    stage.close()
    asked = {"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": {"hash": envelope.hash_hex()}}
    ours = Rpc(stage.chain).handle(asked)["result"]
    theirs = body(bodies, "get_tx_success_p23")["result"]
    assert theirs.keys() <= ours.keys()
    assert ours["events"].keys() == theirs["events"].keys()
    assert {k: type(ours[k]) for k in theirs if k in ours} == {k: type(v) for k, v in theirs.items() if k in ours}


def test_events_and_refusals_of_the_devnet_look_like_recorded_ones(bodies: Path) -> None:
    from keeper.devnet.rpc import Rpc

    stage = Stage()
    first = stage.chain.state.ledger
    envelope = stage.build(stage.swap())
    stage.send(envelope)
    stage.close()
    rpc = Rpc(stage.chain)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "getEvents", "params": {"startLedger": first}}
    ours, theirs = rpc.handle(asked)["result"], body(bodies, "events_two_transfers")["result"]
    assert {k: type(v) for k, v in ours.items()} == {k: type(v) for k, v in theirs.items()}
    shape = {k: type(v) for k, v in theirs["events"][0].items()}
    assert [{k: type(v) for k, v in event.items()} for event in ours["events"]] == [shape]
    soroban_rpc.GetEventsResponse.model_validate(ours)
    refused = stage.build(stage.swap(), sequence=9)
    refused.sign(stage.key)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": {"transaction": refused.to_xdr()}}
    ours, theirs = rpc.handle(asked)["result"], body(bodies, "send_error_bad_seq")["result"]
    assert {k: type(v) for k, v in ours.items()} == {k: type(v) for k, v in theirs.items()}
