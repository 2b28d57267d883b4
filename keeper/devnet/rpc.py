"""JSON-RPC methods of the devnet: the node's, with the shapes of a real one, and a few `devnet_` methods of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from stellar_sdk import Address, StrKey, xdr

from keeper.devnet import history, own_methods, shapes
from keeper.devnet.chain import Chain
from keeper.devnet.contracts import Effect, HostError, call_of, invoke
from keeper.devnet.envelopes import Envelope, inner, parse
from keeper.devnet.errors import INTERNAL, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, RpcError
from keeper.devnet.footprint import resource_fee, write_set
from keeper.devnet.vault_model import ContractError

T = TypeVar("T")
MAX_KEYS = 200


class Rpc:
    """Answers requests of one chain. `handle` is safe to call from several threads."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._methods: dict[str, Callable[[dict[str, Any]], Any]] = {
            "getHealth": self._health,
            "getNetwork": self._network,
            "getVersionInfo": self._version,
            "getLatestLedger": self._latest_ledger,
            "getFeeStats": self._fee_stats,
            "getLedgerEntries": self._ledger_entries,
            "getTransaction": self._transaction,
            "getEvents": self._events,
            "sendTransaction": self._send,
            "simulateTransaction": self._simulate,
            "devnet_getSeed": self._seed,
            "devnet_setPrices": partial(own_methods.set_prices, chain),
            "devnet_fundAccount": partial(own_methods.fund_account, chain),
            "devnet_createVault": partial(own_methods.create_vault, chain),
        }

    def handle(self, request: Any) -> dict[str, Any]:
        """Answer one JSON-RPC request object; errors become error objects."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, INVALID_REQUEST, "invalid request")
        method = self._methods.get(request["method"])
        if method is None:
            return _error(request.get("id"), METHOD_NOT_FOUND, "method not found")
        params = request.get("params") or {}
        if not isinstance(params, dict):
            return _error(request.get("id"), INVALID_PARAMS, "params must be an object")
        try:
            with self._chain.lock:
                return {"jsonrpc": "2.0", "id": request.get("id"), "result": method(params)}
        except RpcError as error:
            return _error(request.get("id"), error.code, str(error))
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError, OverflowError) as error:
            return _error(request.get("id"), INTERNAL, f"internal error: {type(error).__name__}")

    def _range(self) -> dict[str, Any]:
        oldest, oldest_close = self._chain.oldest
        state = self._chain.state
        return {
            "latestLedger": state.ledger,
            "latestLedgerCloseTime": str(state.close_time_s),
            "oldestLedger": oldest,
            "oldestLedgerCloseTime": str(oldest_close),
        }

    def _health(self, _: dict[str, Any]) -> dict[str, Any]:
        if not self._chain.healthy():
            raise RpcError(INTERNAL, "latency since last known ledger closed is too high (over 30s)")
        return {"status": "healthy", "ledgerRetentionWindow": self._chain.retention, **self._range()}

    def _network(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"passphrase": self._chain.passphrase, "protocolVersion": self._chain.protocol}

    def _version(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "version": "ballast-devnet-1",
            "commitHash": "",
            "buildTimestamp": "",
            "captiveCoreVersion": "",
            "protocolVersion": self._chain.protocol,
        }

    def _seed(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"seed": self._chain.state.seed}

    def _latest_ledger(self, _: dict[str, Any]) -> dict[str, Any]:
        state = self._chain.state
        own, header, meta = shapes.header(state.ledger, state.close_time_s)
        return {
            "id": own,
            "protocolVersion": self._chain.protocol,
            "sequence": state.ledger,
            "closeTime": str(state.close_time_s),
            "headerXdr": header,
            "metadataXdr": meta,
        }

    def _fee_stats(self, _: dict[str, Any]) -> dict[str, Any]:
        return history.fee_stats(self._chain)

    def _events(self, params: dict[str, Any]) -> dict[str, Any]:
        try:
            found, cursor = history.events(self._chain, params)
        except (ValueError, TypeError, AttributeError) as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        return {"events": found, **self._range(), "cursor": cursor}

    def _ledger_entries(self, params: dict[str, Any]) -> dict[str, Any]:
        keys = params.get("keys")
        if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
            raise RpcError(INVALID_PARAMS, f"key count must be 1 to {MAX_KEYS}")
        state, entries = self._chain.state, []
        for text in keys:
            entry = self._entry(_decode(xdr.LedgerKey.from_xdr, text, "key"))
            if entry is not None:
                entries.append({"key": text, "xdr": entry.to_xdr(), "lastModifiedLedgerSeq": state.ledger})
        return {"entries": entries, "latestLedger": state.ledger}

    def _entry(self, key: xdr.LedgerKey) -> xdr.LedgerEntryData | None:
        state = self._chain.state
        if key.account is not None:
            raw = key.account.account_id.account_id.ed25519
            assert raw is not None
            address = StrKey.encode_ed25519_public_key(raw.uint256)
            account = state.accounts.get(address)
            return None if account is None else shapes.account_entry(address, account.sequence, account.balance)
        if key.contract_data is None:
            return None
        contract = Address.from_xdr_sc_address(key.contract_data.contract).address
        if contract in state.vaults and key.contract_data.key == shapes.INSTANCE_KEY:
            return shapes.instance_entry(contract)
        for address, vault in state.vaults.items():
            if contract in vault.idle and key.contract_data.key == shapes.balance_key(address):
                return shapes.balance_entry(contract, address, vault.idle[contract])
        return None

    def _transaction(self, params: dict[str, Any]) -> dict[str, Any]:
        tx_hash = params.get("hash")
        if not isinstance(tx_hash, str) or len(tx_hash) != 64:
            raise RpcError(INVALID_PARAMS, "unexpected hash length")
        found = self._chain.state.applied.get(tx_hash)
        newest, oldest = self._chain.state.ledger - self._chain.ingest_lag, self._chain.oldest[0]
        if found is None or not oldest <= found.ledger <= newest:
            return {"status": "NOT_FOUND", "txHash": tx_hash, **self._range()}
        return {
            "status": "SUCCESS" if found.success else "FAILED",
            "txHash": tx_hash,
            **self._range(),
            "applicationOrder": found.order,
            "feeBump": found.fee_bump,
            "envelopeXdr": found.envelope,
            "resultXdr": found.result,
            "resultMetaXdr": found.meta,
            "diagnosticEventsXdr": found.diagnostics,
            "events": {"transactionEventsXdr": [], "contractEventsXdr": [found.events]},
            "ledger": found.ledger,
            "createdAt": str(found.closed_s),
        }

    def _send(self, params: dict[str, Any]) -> dict[str, Any]:
        admission = self._chain.submit(_envelope(params))
        state = self._chain.state
        answer: dict[str, Any] = {
            "status": admission.status,
            "hash": admission.tx_hash,
            "latestLedger": state.ledger,
            "latestLedgerCloseTime": str(state.close_time_s),
        }
        return answer | ({"errorResultXdr": admission.result} if admission.result else {})

    def _simulate(self, params: dict[str, Any]) -> dict[str, Any]:
        envelope, state = inner(_envelope(params)), self._chain.state
        latest = {"latestLedger": state.ledger}
        call = call_of(envelope)
        if len(envelope.transaction.operations) != 1:
            return {"error": "Transaction contains more than one operation", **latest}
        if call is None:
            return {"error": "Transaction contains unsupported operation type", **latest}
        if envelope.transaction.memo.to_xdr_object().type is not xdr.MemoType.MEMO_NONE:
            return {"error": "Transaction contains a memo, which contract calls do not support", **latest}
        try:
            effect = invoke(state, call, state.close_time_s)
        except (ContractError, HostError) as error:
            return {"error": f"host invocation failed\n\nCaused by:\n    HostError: {error}\n", **latest}
        fee = resource_fee(effect.instructions)
        auth = []
        if effect.authorizer == envelope.transaction.source.account_id:
            auth.append(shapes.own_authorization(call.xdr).to_xdr())
        elif effect.authorizer is not None:
            auth.append(shapes.foreign_authorization(call.xdr, effect.authorizer, state.ledger).to_xdr())
        read = [] if effect.after is not None else [shapes.contract_key(call.contract, shapes.INSTANCE_KEY)]
        resources = shapes.resources(read, write_set(call, effect), fee)
        first = {"restorePreamble": {"transactionData": resources, "minResourceFee": str(fee)}}
        return (first if self._chain.restore and effect.after is not None else {}) | {
            "transactionData": resources,
            "minResourceFee": str(fee),
            "events": [],
            "results": [{"auth": auth, "xdr": effect.value.to_xdr()}],
            "stateChanges": [*self._changes(call.contract, effect)],
            **latest,
        }

    def _changes(self, vault: str, effect: Effect) -> list[dict[str, Any]]:
        ledger = self._chain.state.ledger
        return [
            {
                "type": "updated",
                "key": shapes.contract_key(token, shapes.balance_key(vault)).to_xdr(),
                "before": shapes.ledger_entry(shapes.balance_entry(token, vault, before), ledger).to_xdr(),
                "after": shapes.ledger_entry(shapes.balance_entry(token, vault, after), ledger + 1).to_xdr(),
            }
            for token, (before, after) in effect.moved().items()
        ]


def _envelope(params: dict[str, Any]) -> Envelope:
    return _decode(parse, params.get("transaction"), "invalid_xdr")


def _decode(parse: Callable[[str], T], text: Any, name: str) -> T:
    try:
        return parse(text)
    except (ValueError, TypeError, EOFError, AttributeError, KeyError) as error:
        raise RpcError(INVALID_PARAMS, f"{name}: {type(error).__name__}") from None


def _error(request_id: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
