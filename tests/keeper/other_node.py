"""A second RPC node, independent of the devnet: JSON-RPC over HTTP as documented, and not a method more.

Strict about requests. With `lean` its answers leave out every field that the documentation or older nodes leave out.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stellar_sdk import Keypair, TransactionEnvelope, scval, xdr
from stellar_sdk.exceptions import BadSignatureError

from tests.keeper.other_ledger import (
    RESOURCE_FEE,
    CallFailed,
    OtherLedger,
    balance_key,
    call_of,
    data_entry,
    data_key,
    needed_words,
)

START_LEDGER, START_S = 50_000, 1_800_000_000
_INVALID = -32602
_CODES = xdr.TransactionResultCode


class Refused(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class OtherNode:
    """A ledger a `close_s`, each of one second of chain time. `peer`: another node of the same network."""

    def __init__(
        self, ledger: OtherLedger, close_s: float = 0.1, lean: bool = False, peer: OtherNode | None = None
    ) -> None:
        self.ledger, self.lean = ledger, lean
        self.asked: list[str] = []
        self._close_s, self._began = close_s, peer._began if peer else time.monotonic()
        self._waiting: list[tuple[int, TransactionEnvelope]] = peer._waiting if peer else []
        self._applied: dict[str, dict[str, Any]] = peer._applied if peer else {}
        self._lock = peer._lock if peer else threading.Lock()

    def answer(self, request: Any) -> dict[str, Any]:
        number = request.get("id") if isinstance(request, dict) else None
        try:
            if not isinstance(request, dict) or request.get("jsonrpc") != "2.0" or number is None:
                raise Refused(-32600, "invalid request")
            method, params = request.get("method"), request.get("params") or {}
            if not isinstance(params, dict):
                raise Refused(_INVALID, "params must be an object")
            known = {
                "getHealth": self._health, "getNetwork": self._network, "getLatestLedger": self._latest,
                "getLedgerEntries": self._entries, "simulateTransaction": self._simulate,
                "sendTransaction": self._send, "getTransaction": self._transaction, "getFeeStats": self._fees,
            }  # fmt: skip
            if method not in known:
                raise Refused(-32601, "method not found")
            with self._lock:
                self.asked.append(method)
                self._close()
                return {"jsonrpc": "2.0", "id": number, "result": known[method](params)}
        except Refused as error:
            return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}

    @property
    def _number(self) -> int:
        return START_LEDGER + int((time.monotonic() - self._began) / self._close_s)

    def _seconds(self, number: int) -> int:
        return START_S + number - START_LEDGER

    def _close(self) -> None:
        """Apply what waits, each in the ledger after the one it came in."""
        due = [item for item in self._waiting if item[0] < self._number]
        for came, envelope in due:
            self._waiting.remove((came, envelope))
            self._apply(came + 1, envelope)

    def _apply(self, number: int, envelope: TransactionEnvelope) -> None:
        transaction, source = envelope.transaction, envelope.transaction.source.account_id
        sequence, stroops = self.ledger.accounts[source]
        self.ledger.accounts[source] = (sequence + 1, stroops - transaction.fee)
        operation, call = call_of(envelope)
        code, outer = xdr.InvokeHostFunctionResultCode.INVOKE_HOST_FUNCTION_SUCCESS, _CODES.txSUCCESS
        try:
            if [entry.to_xdr() for entry in operation.auth] != needed_words(call):
                raise CallFailed(None)
            _, self.ledger.holdings = self.ledger.call(call, source, self._seconds(number))
        except CallFailed:
            code, outer = xdr.InvokeHostFunctionResultCode.INVOKE_HOST_FUNCTION_TRAPPED, _CODES.txFAILED
        done = xdr.InvokeHostFunctionResult(code, success=xdr.Hash(b"\1" * 32) if outer is _CODES.txSUCCESS else None)
        result = xdr.OperationResult(
            xdr.OperationResultCode.opINNER,
            xdr.OperationResultTr(xdr.OperationType.INVOKE_HOST_FUNCTION, invoke_host_function_result=done),
        )
        self._applied[envelope.hash_hex()] = {
            "status": "SUCCESS" if outer is _CODES.txSUCCESS else "FAILED",
            "ledger": number,
            "createdAt": str(self._seconds(number)),
            "applicationOrder": 1,
            "feeBump": False,
            "envelopeXdr": envelope.to_xdr(),
            "resultXdr": xdr.TransactionResult(
                xdr.Int64(transaction.fee),
                xdr.TransactionResultResult(outer, results=[result]),
                xdr.TransactionResultExt(0),
            ).to_xdr(),
        }

    def _health(self, params: dict[str, Any]) -> dict[str, Any]:
        rest = {
            "latestLedger": self._number,
            "latestLedgerCloseTime": str(self._seconds(self._number)),
            "oldestLedger": START_LEDGER - 1000,
            "oldestLedgerCloseTime": str(START_S - 1000),
            "ledgerRetentionWindow": 1000,
        }
        return {"status": "healthy", **({} if self.lean else rest)}

    def _network(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"passphrase": self.ledger.passphrase, "protocolVersion": "23" if self.lean else 23}

    def _latest(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"id": f"{self._number:064x}", "protocolVersion": 23, "sequence": self._number}

    def _entries(self, params: dict[str, Any]) -> dict[str, Any]:
        keys = params.get("keys")
        if not isinstance(keys, list) or not 1 <= len(keys) <= 200:
            raise Refused(_INVALID, "keys: 1 to 200 are expected")
        found = []
        for text in keys:
            try:
                data = self._entry(xdr.LedgerKey.from_xdr(text))
            except (ValueError, EOFError):
                raise Refused(_INVALID, "cannot unmarshal key value") from None
            if data is not None:
                found.append({"key": text, "xdr": data.to_xdr(), "lastModifiedLedgerSeq": START_LEDGER})
        return {"entries": found, "latestLedger": self._number}

    def _entry(self, key: xdr.LedgerKey) -> xdr.LedgerEntryData | None:
        if key.account is not None:
            address = Keypair.from_raw_ed25519_public_key(key.account.account_id.account_id.ed25519.uint256).public_key
            if address not in self.ledger.accounts:
                return None
            sequence, stroops = self.ledger.accounts[address]
            entry = xdr.AccountEntry(
                account_id=key.account.account_id, balance=xdr.Int64(stroops),
                seq_num=xdr.SequenceNumber(xdr.Int64(sequence)), num_sub_entries=xdr.Uint32(0), inflation_dest=None,
                flags=xdr.Uint32(0), home_domain=xdr.String32(b""), thresholds=xdr.Thresholds(b"\1\0\0\0"), signers=[],
                ext=xdr.AccountEntryExt(0),
            )  # fmt: skip
            return xdr.LedgerEntryData(xdr.LedgerEntryType.ACCOUNT, account=entry)
        instance = xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE)
        if self.lean or key != data_key(self.ledger.vault, instance):
            return None
        runs = xdr.ContractExecutable(
            xdr.ContractExecutableType.CONTRACT_EXECUTABLE_WASM, wasm_hash=xdr.Hash(self.ledger.code)
        )
        value = xdr.SCVal(xdr.SCValType.SCV_CONTRACT_INSTANCE, instance=xdr.SCContractInstance(runs, None))
        return data_entry(self.ledger.vault, instance, value)

    def _simulate(self, params: dict[str, Any]) -> dict[str, Any]:
        envelope = self._envelope(params)
        latest, source = {"latestLedger": self._number}, envelope.transaction.source.account_id
        try:
            _, call = call_of(envelope)
            value, after = self.ledger.call(call, source, self._seconds(self._number))
        except ValueError as error:
            return {"error": str(error), **latest}
        except CallFailed as error:
            return {"error": f"HostError: {error}\n", "events": [], **latest}
        moved = {t: (self.ledger.holdings[t], a) for t, a in after.items() if a != self.ledger.holdings[t]}
        writes = [data_key(token, balance_key(self.ledger.vault)) for token in moved]
        used = xdr.SorobanResources(
            xdr.LedgerFootprint([], writes), xdr.Uint32(1_635_562), xdr.Uint32(1416), xdr.Uint32(136)
        )
        data = xdr.SorobanTransactionData(xdr.SorobanTransactionDataExt(0), used, xdr.Int64(RESOURCE_FEE))
        auth = needed_words(call)
        changes = [
            {
                "type": "updated",
                "key": data_key(token, balance_key(self.ledger.vault)).to_xdr(),
                "before": self._balance(token, before),
                "after": self._balance(token, amount),
            }
            for token, (before, amount) in moved.items()
        ]
        return {
            "transactionData": data.to_xdr(),
            "minResourceFee": str(RESOURCE_FEE),
            "results": [{"auth": auth, "xdr": value.to_xdr()}],
            **({} if self.lean else {"events": [], "stateChanges": changes}),
            **latest,
        }

    def _balance(self, token: str, amount: int) -> str:
        data = data_entry(token, balance_key(self.ledger.vault), scval.to_int128(amount))
        return xdr.LedgerEntry(xdr.Uint32(self._number), data, xdr.LedgerEntryExt(0)).to_xdr()

    def _send(self, params: dict[str, Any]) -> dict[str, Any]:
        envelope = self._envelope(params)
        tx_hash = envelope.hash_hex()
        said: dict[str, Any] = {
            "hash": tx_hash,
            "latestLedger": self._number,
            "latestLedgerCloseTime": str(self._seconds(self._number)),
        }
        if any(waiting.hash_hex() == tx_hash for _, waiting in self._waiting):
            return {"status": "DUPLICATE", **said}
        wrong = self._wrong(envelope)
        if wrong is not None:
            result = xdr.TransactionResult(
                xdr.Int64(100), xdr.TransactionResultResult(wrong), xdr.TransactionResultExt(0)
            )
            return {"status": "ERROR", "errorResultXdr": result.to_xdr(), **said}
        self._waiting.append((self._number, envelope))
        return {"status": "PENDING", **said}

    def _wrong(self, envelope: TransactionEnvelope) -> xdr.TransactionResultCode | None:
        transaction = envelope.transaction
        source, bounds, data = transaction.source.account_id, transaction.preconditions, transaction.soroban_data
        if source not in self.ledger.accounts:
            return _CODES.txNO_ACCOUNT
        sequence, stroops = self.ledger.accounts[source]
        times, ledgers = (bounds.time_bounds, bounds.ledger_bounds) if bounds else (None, None)
        if times is not None and 0 < times.max_time < self._seconds(self._number + 1):
            return _CODES.txTOO_LATE
        if ledgers is not None and 0 < ledgers.max_ledger <= self._number + 1:
            return _CODES.txTOO_LATE
        if transaction.sequence != sequence + 1:
            return _CODES.txBAD_SEQ
        try:
            (signature,) = envelope.signatures
            Keypair.from_public_key(source).verify(envelope.hash(), signature.signature)
        except (ValueError, BadSignatureError):
            return _CODES.txBAD_AUTH
        if data is None or data.resource_fee.int64 < RESOURCE_FEE:
            return _CODES.txSOROBAN_INVALID
        if transaction.fee < data.resource_fee.int64 + 100:
            return _CODES.txINSUFFICIENT_FEE
        return _CODES.txINSUFFICIENT_BALANCE if stroops < transaction.fee else None

    def _transaction(self, params: dict[str, Any]) -> dict[str, Any]:
        tx_hash = params.get("hash")
        if not isinstance(tx_hash, str) or len(tx_hash) != 64:
            raise Refused(_INVALID, "hash: 64 hexadecimal digits are expected")
        kept = ("status", "ledger", "createdAt", "resultXdr")
        found = self._applied.get(tx_hash, {"status": "NOT_FOUND"})
        return {
            "txHash": tx_hash,
            "latestLedger": self._number,
            "latestLedgerCloseTime": str(self._seconds(self._number)),
            "oldestLedger": START_LEDGER - 1000,
            "oldestLedgerCloseTime": str(START_S - 1000),
            **{name: value for name, value in found.items() if name in kept or not self.lean},
        }

    def _fees(self, params: dict[str, Any]) -> dict[str, Any]:
        percentiles = {f"p{n}": "100" for n in (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)}
        fees = {"max": "210", "min": "100", "mode": "100", **percentiles, "transactionCount": "10", "ledgerCount": 50}
        return {"sorobanInclusionFee": fees, "inclusionFee": fees, "latestLedger": self._number}

    def _envelope(self, params: dict[str, Any]) -> TransactionEnvelope:
        try:
            return TransactionEnvelope.from_xdr(params["transaction"], self.ledger.passphrase)
        except (KeyError, ValueError, TypeError, EOFError):
            raise Refused(_INVALID, "invalid_xdr") from None


@contextmanager
def served(node: OtherNode) -> Iterator[str]:
    """Address of the node, for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.headers.get("Content-Type") != "application/json":
                self.send_error(415)
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            text = json.dumps(node.answer(json.loads(body))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/rpc"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
