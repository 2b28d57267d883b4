"""The chain client: stellar-sdk primitives behind `keeper.gateway`.

Every exception becomes an outcome here, and nowhere else. The SDK's own retries, restores and submit helpers are not
used: a resend that meets DUPLICATE looks like a failure to them. Messages never hold the URL, which may carry a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from stellar_sdk import (
    Account,
    Keypair,
    SorobanServer,
    StrKey,
    TransactionBuilder,
    TransactionEnvelope,
    scval,
    soroban_rpc,
    xdr,
)
from stellar_sdk import exceptions as sdk
from stellar_sdk.client.base_sync_client import BaseSyncClient
from stellar_sdk.operation import InvokeHostFunction

from keeper.defindex import DefindexAdapter, VaultAdapter, error_name, error_number, remedy_for
from keeper.gateway import (
    AccountView,
    ChainClock,
    Fatal,
    Gateway,
    Instruction,
    Ok,
    Outcome,
    Prepared,
    RebalanceCall,
    Remedy,
    Retryable,
    SendReply,
    SendStatus,
    TokenView,
    TransactionView,
    TxStatus,
    Uncertain,
    VaultView,
)
from keeper.transport import REQUEST_TIMEOUT_S, DeadlineClient, StrictClient

T = TypeVar("T")

__all__ = ["REQUEST_TIMEOUT_S", "SorobanGateway"]
_NO_HASH = "0" * 64  # asking for it is the cheapest way to read the chain's clock
_MOST_LEDGERS, _MOST_SECONDS = 2**31, 2**40  # far beyond any, and inside what an envelope can hold
# pydantic forgets a form that nobody holds and builds it anew at each use: 2 ms.
_HealthRequest = soroban_rpc.Request[None]
_INVALID_REQUEST = (-32600, -32601, -32602, -32700)
# Reads are simulated from the account of the zero key: it need not exist and nobody can sign for it.
_READER = Keypair.from_raw_ed25519_public_key(b"\x00" * 32).public_key


class SorobanGateway(Gateway):
    """One RPC node. `client`: transport, by default HTTP with 10 s a request in all and no retries of its own."""

    def __init__(
        self,
        url: str,
        passphrase: str,
        client: BaseSyncClient | None = None,
        adapter: VaultAdapter | None = None,
    ) -> None:
        self._url = url
        self._client = StrictClient(client or DeadlineClient(REQUEST_TIMEOUT_S))
        self._server = SorobanServer(url, self._client)
        self._passphrase = passphrase
        self._adapter = adapter or DefindexAdapter()

    def close(self) -> None:
        self._server.close()

    def passphrase(self) -> Outcome[str]:
        return _ask(lambda: self._server.get_network().passphrase)

    def protocol(self) -> Outcome[int]:
        return _ask(lambda: self._server.get_network().protocol_version)

    def health(self) -> Outcome[int]:
        def read() -> int:
            # Not by the SDK, to which an answer without ledgers is none: simple nodes give the status only.
            request = _HealthRequest(id=uuid4().hex, method="getHealth", params=None)
            body = self._client.post(self._url, json_data=request.model_dump(exclude_none=True)).json()
            if "error" in body or body["result"]["status"] != "healthy":
                raise _Unhealthy
            ledger = body["result"].get("latestLedger")
            return int(ledger) if ledger is not None else self._server.get_transaction(_NO_HASH).latest_ledger

        return _ask(read)

    def clock(self) -> Outcome[ChainClock]:
        return _ask(lambda: _clock(self._server.get_transaction(_NO_HASH)))

    def account(self, address: str) -> Outcome[AccountView]:
        key = xdr.LedgerKey(
            xdr.LedgerEntryType.ACCOUNT,
            account=xdr.LedgerKeyAccount(Keypair.from_public_key(address).xdr_account_id()),
        )

        def read() -> AccountView:
            reply = self._server.get_ledger_entries([key])
            if not reply.entries:
                raise _Refused("account_missing")
            entry = xdr.LedgerEntryData.from_xdr(reply.entries[0].xdr).account
            if entry is None:
                raise ValueError("the ledger entry is not an account")
            return AccountView(address, entry.seq_num.sequence_number.int64, entry.balance.int64, reply.latest_ledger)

        return _ask(read)

    def vault(self, contract: str) -> Outcome[VaultView]:
        def read() -> VaultView:
            funds, ledger = self._read(contract, self._adapter.funds_read)
            manager, _ = self._read(contract, self._adapter.manager_read)
            code = self._server.get_ledger_entries([_instance_key(contract)])
            return VaultView(
                contract=contract,
                ledger=ledger,
                funds=self._adapter.funds(funds),
                shares=self._shares(contract),
                rebalance_manager=scval.from_address(manager).address,
                code_hash=_code_hash(code),
            )

        return _ask(read)

    def token(self, contract: str) -> Outcome[TokenView]:
        def read() -> TokenView:
            symbol: Any = scval.to_native(self._read(contract, "symbol")[0])
            decimals = scval.from_uint32(self._read(contract, "decimals")[0])
            return TokenView(symbol.decode() if isinstance(symbol, bytes) else str(symbol), decimals)

        return _ask(read)

    def inclusion_fee(self) -> Outcome[int]:
        return _ask(lambda: self._server.get_fee_stats().soroban_inclusion_fee.p95)

    def prepare(self, call: RebalanceCall) -> Outcome[Prepared]:
        arguments = self._adapter.arguments(call.source, call.instructions, call.max_time_s)
        builder = TransactionBuilder(Account(call.source, call.sequence - 1), self._passphrase, call.inclusion_fee)
        builder.append_invoke_contract_function_op(call.contract, self._adapter.function, arguments)
        builder.add_time_bounds(0, call.max_time_s).set_ledger_bounds(0, call.max_ledger)
        envelope = builder.build()

        def simulate() -> Prepared:
            reply = self._server.simulate_transaction(envelope)
            if reply.error is not None:
                number = error_number(reply.error)
                raise _Refused(f"simulation: {error_name(number)}", number, remedy_for(number))
            if reply.restore_preamble is not None:
                # A restore is a transaction of its own, which nobody decided on.
                raise _Refused("simulation: archived state would have to be restored first", None, Remedy.STOP)
            ready = self._server.prepare_transaction(envelope, reply)
            return _prepared(call, ready, reply)

        return _ask(simulate)

    def send(self, signed_xdr: str) -> Outcome[SendReply]:
        envelope = TransactionEnvelope.from_xdr(signed_xdr, self._passphrase)

        def submit() -> SendReply:
            reply = self._server.send_transaction(envelope)
            if reply.hash != envelope.hash_hex():
                raise ValueError("the answer is about another transaction")
            code = required = None
            if reply.error_result_xdr is not None:
                result = xdr.TransactionResult.from_xdr(reply.error_result_xdr)
                code = result.result.code.name
                too_low = result.result.code is xdr.TransactionResultCode.txINSUFFICIENT_FEE
                required = result.fee_charged.int64 if too_low else None
            return SendReply(SendStatus(reply.status.value), reply.latest_ledger, code, required)

        return _ask(submit)

    def transaction(self, tx_hash: str) -> Outcome[TransactionView]:
        return _ask(lambda: _transaction_view(tx_hash, self._server.get_transaction(tx_hash)))

    def arguments(self, caller: str, instructions: Sequence[Instruction], deadline_s: int) -> tuple[str, ...]:
        return tuple(value.to_xdr() for value in self._adapter.arguments(caller, instructions, deadline_s))

    def _shares(self, contract: str) -> int:
        """Total supply; 0 for a vault that does not say. It only values a share, no decision rests on it."""
        try:
            return scval.from_int128(self._read(contract, self._adapter.shares_read)[0])
        except _Refused:
            return 0

    def _read(self, contract: str, function: str) -> tuple[xdr.SCVal, int]:
        builder = TransactionBuilder(Account(_READER, 0), self._passphrase, 100).add_time_bounds(0, 0)
        envelope = builder.append_invoke_contract_function_op(contract, function, []).build()
        reply = self._server.simulate_transaction(envelope)
        if reply.error is not None or not reply.results:
            number = error_number(reply.error or "")
            raise _Refused(f"read {function}: {error_name(number)}", number)
        return xdr.SCVal.from_xdr(reply.results[0].xdr), reply.latest_ledger


class _Refused(Exception):
    """Carries a Fatal out of a callback."""

    def __init__(self, reason: str, contract_error: int | None = None, remedy: Remedy = Remedy.NONE) -> None:
        super().__init__(reason)
        self.contract_error = contract_error
        self.remedy = remedy


class _Unhealthy(Exception):
    """The node answers and says that it should not be believed now."""


def _ask(request: Callable[[], T]) -> Outcome[T]:
    """Run a request and sort what can go wrong by the reaction it calls for."""
    try:
        return Ok(request())
    except _Refused as error:
        return Fatal(str(error), error.contract_error, error.remedy)
    except _Unhealthy:
        return Retryable("node is not healthy")
    except sdk.ConnectionError as error:
        return Uncertain(f"connection: {type(error.__cause__ or error).__name__}")
    except sdk.SorobanRpcErrorResponse as error:
        text = f"rpc error {error.code}"
        return Fatal(text) if error.code in _INVALID_REQUEST else Retryable(text)
    except sdk.BaseHorizonError as error:
        return Retryable(f"http {error.status}")
    except sdk.BaseRequestError as error:
        return Uncertain(type(error).__name__)
    except (ValueError, AssertionError, KeyError, EOFError, TypeError, AttributeError) as error:
        # An answer that cannot be read (unknown status, truncated XDR) says nothing about what happened.
        return Uncertain(f"unreadable answer: {type(error).__name__}")


def _clock(reply: soroban_rpc.GetTransactionResponse) -> ChainClock:
    if not (0 < reply.latest_ledger < _MOST_LEDGERS and 0 < reply.latest_ledger_close_time < _MOST_SECONDS):
        raise ValueError("a ledger or a close time that no chain has")
    return ChainClock(reply.latest_ledger, reply.latest_ledger_close_time, reply.oldest_ledger)


def _transaction_view(tx_hash: str, reply: soroban_rpc.GetTransactionResponse) -> TransactionView:
    clock = _clock(reply)
    if reply.transaction_hash != tx_hash:
        raise ValueError("the answer is about another transaction")
    if reply.status is soroban_rpc.GetTransactionStatus.NOT_FOUND:
        return TransactionView(tx_hash, TxStatus.NOT_FOUND, clock)
    if reply.result_xdr is None:
        return TransactionView(tx_hash, TxStatus.CONTRADICTORY, clock)
    result = xdr.TransactionResult.from_xdr(reply.result_xdr)
    good = (xdr.TransactionResultCode.txSUCCESS, xdr.TransactionResultCode.txFEE_BUMP_INNER_SUCCESS)
    succeeded = reply.status is soroban_rpc.GetTransactionStatus.SUCCESS
    status = TxStatus(reply.status.value) if succeeded == (result.result.code in good) else TxStatus.CONTRADICTORY
    return TransactionView(
        tx_hash=tx_hash,
        status=status,
        clock=clock,
        ledger=reply.ledger,
        result_code=_result_code(result),
        contract_error=_event_error(reply.diagnostic_events_xdr or ()),
        fee_charged=result.fee_charged.int64,
    )


def _result_code(result: xdr.TransactionResult) -> str:
    """Code of the transaction and, when an operation failed, of that operation."""
    name = result.result.code.name
    for operation in result.result.results or ():
        if operation.tr is not None and operation.tr.invoke_host_function_result is not None:
            return f"{name}/{operation.tr.invoke_host_function_result.code.name}"
    return name


def _event_error(events: Sequence[str]) -> int | None:
    for text in events:
        body = xdr.DiagnosticEvent.from_xdr(text).event.body.v0
        for topic in body.topics if body is not None else ():
            if topic.error is not None and topic.error.contract_code is not None:
                return topic.error.contract_code.uint32
    return None


def _prepared(
    call: RebalanceCall, ready: TransactionEnvelope, reply: soroban_rpc.SimulateTransactionResponse
) -> Prepared:
    data = ready.transaction.soroban_data
    if data is None or reply.min_resource_fee is None:
        raise ValueError("the simulation carries no resources")
    keys = data.resources.footprint.read_write
    operation = ready.transaction.operations[0]
    assert isinstance(operation, InvokeHostFunction)
    return Prepared(
        unsigned_xdr=ready.to_xdr(),
        tx_hash=ready.hash_hex(),
        sequence=call.sequence,
        max_time_s=call.max_time_s,
        max_ledger=call.max_ledger,
        fee_bid=ready.transaction.fee,
        inclusion_fee=call.inclusion_fee,
        resource_fee=reply.min_resource_fee,
        sim_ledger=reply.latest_ledger,
        balances=_balances(call.contract, reply.state_changes),
        foreign_auth=not all(_is_own_call(entry, operation) for entry in operation.auth),
        own_writes=any(_account_of(key) == call.source for key in keys),
        touched=frozenset(owner for owner in map(_owner_of, keys) if owner is not None and owner != call.source),
    )


def _is_own_call(entry: xdr.SorobanAuthorizationEntry, operation: InvokeHostFunction) -> bool:
    """Whether an entry is the source account's own word for exactly the call of the operation."""
    own = xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT
    invocation = entry.root_invocation.function.contract_fn
    return entry.credentials.type is own and invocation == operation.host_function.invoke_contract


def _owner_of(key: xdr.LedgerKey) -> str | None:
    """Contract or account whose entry a key names; None for code and the like, which belongs to nobody."""
    if key.contract_data is None:
        return _account_of(key)
    owner = xdr.SCVal(xdr.SCValType.SCV_ADDRESS, address=key.contract_data.contract)
    return scval.from_address(owner).address


def _account_of(key: xdr.LedgerKey) -> str | None:
    """Account that an account entry or a trust line belongs to, None for any other entry."""
    owner = key.account or key.trust_line
    if owner is None or owner.account_id.account_id.ed25519 is None:
        return None
    return StrKey.encode_ed25519_public_key(owner.account_id.account_id.ed25519.uint256)


def _balances(
    holder: str, changes: Sequence[soroban_rpc.LedgerEntryChange] | None
) -> dict[str, tuple[int, int]] | None:
    """(before, after) of every token balance of `holder` among the state changes, by token contract."""
    if changes is None:
        return None
    found: dict[str, tuple[int, int]] = {}
    its_balance = _balance_key(holder)
    for change in changes:
        key = xdr.LedgerKey.from_xdr(change.key).contract_data
        if key is None or key.key != its_balance:
            continue
        token = scval.from_address(xdr.SCVal(xdr.SCValType.SCV_ADDRESS, address=key.contract)).address
        found[token] = (_balance(change.before), _balance(change.after))
    return found


def _balance_key(holder: str) -> xdr.SCVal:
    return scval.to_vec([scval.to_symbol("Balance"), scval.to_address(holder)])


def _balance(entry: str | None) -> int:
    """Amount in a token's balance entry: a bare i128, or the map of the built-in asset contract. None = no entry."""
    if entry is None:
        return 0
    data = xdr.LedgerEntry.from_xdr(entry).data.contract_data
    if data is None:
        raise ValueError("a balance is not contract data")
    value: Any = scval.to_native(data.val)
    return int(value["amount"] if isinstance(value, dict) else value)


def _instance_key(contract: str) -> xdr.LedgerKey:
    return xdr.LedgerKey(
        xdr.LedgerEntryType.CONTRACT_DATA,
        contract_data=xdr.LedgerKeyContractData(
            contract=xdr.SCAddress(
                xdr.SCAddressType.SC_ADDRESS_TYPE_CONTRACT,
                contract_id=xdr.ContractID(xdr.Hash(StrKey.decode_contract(contract))),
            ),
            key=xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE),
            durability=xdr.ContractDataDurability.PERSISTENT,
        ),
    )


def _code_hash(reply: soroban_rpc.GetLedgerEntriesResponse) -> str | None:
    """Hash of the code a contract instance runs; None when it does not name one directly, which no pin accepts."""
    if not reply.entries:
        return None
    data = xdr.LedgerEntryData.from_xdr(reply.entries[0].xdr).contract_data
    instance = data.val.instance if data is not None else None
    executable = instance.executable if instance is not None else None
    return executable.wasm_hash.hash.hex() if executable is not None and executable.wasm_hash is not None else None
