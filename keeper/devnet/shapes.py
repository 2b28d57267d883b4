"""XDR that the devnet hands out: ledger entries, results, meta, events, headers. Building only; no rules."""

from __future__ import annotations

import hashlib
from typing import Any

from stellar_sdk import Keypair, StrKey, scval, xdr

from keeper.devnet.vault_model import VaultModel

PROTOCOL = 23
_EXT0 = xdr.ExtensionPoint(0)
CODE_HASH = hashlib.sha256(b"ballast devnet vault 1").digest()


def contract_address(seed: int, kind: str, name: str) -> str:
    """Address of a contract of this chain: the same seed deploys the same contracts."""
    return StrKey.encode_contract(hashlib.sha256(f"ballast-devnet/{seed}/{kind}/{name}".encode()).digest())


def sc_address(contract: str) -> xdr.SCAddress:
    value = scval.to_address(contract).address
    assert value is not None
    return value


def account_key(address: str) -> xdr.LedgerKey:
    return xdr.LedgerKey(
        xdr.LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(Keypair.from_public_key(address).xdr_account_id())
    )


def account_entry(address: str, sequence: int, balance: int) -> xdr.LedgerEntryData:
    return xdr.LedgerEntryData(
        xdr.LedgerEntryType.ACCOUNT,
        account=xdr.AccountEntry(
            account_id=Keypair.from_public_key(address).xdr_account_id(),
            balance=xdr.Int64(balance),
            seq_num=xdr.SequenceNumber(xdr.Int64(sequence)),
            num_sub_entries=xdr.Uint32(0),
            inflation_dest=None,
            flags=xdr.Uint32(0),
            home_domain=xdr.String32(b""),
            thresholds=xdr.Thresholds(b"\x01\x00\x00\x00"),
            signers=[],
            ext=xdr.AccountEntryExt(0),
        ),
    )


def contract_key(contract: str, key: xdr.SCVal) -> xdr.LedgerKey:
    return xdr.LedgerKey(
        xdr.LedgerEntryType.CONTRACT_DATA,
        contract_data=xdr.LedgerKeyContractData(sc_address(contract), key, xdr.ContractDataDurability.PERSISTENT),
    )


def contract_entry(contract: str, key: xdr.SCVal, value: xdr.SCVal) -> xdr.LedgerEntryData:
    return xdr.LedgerEntryData(
        xdr.LedgerEntryType.CONTRACT_DATA,
        contract_data=xdr.ContractDataEntry(
            _EXT0, sc_address(contract), key, xdr.ContractDataDurability.PERSISTENT, value
        ),
    )


INSTANCE_KEY = xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE)


def instance_entry(contract: str) -> xdr.LedgerEntryData:
    executable = xdr.ContractExecutable(
        xdr.ContractExecutableType.CONTRACT_EXECUTABLE_WASM, wasm_hash=xdr.Hash(CODE_HASH)
    )
    value = xdr.SCVal(xdr.SCValType.SCV_CONTRACT_INSTANCE, instance=xdr.SCContractInstance(executable, None))
    return contract_entry(contract, INSTANCE_KEY, value)


def balance_key(holder: str) -> xdr.SCVal:
    return scval.to_vec([scval.to_symbol("Balance"), scval.to_address(holder)])


def balance_entry(token: str, holder: str, amount: int) -> xdr.LedgerEntryData:
    fields = {"amount": scval.to_int128(amount), "authorized": scval.to_bool(True), "clawback": scval.to_bool(False)}
    return contract_entry(token, balance_key(holder), scval.to_struct(fields))


def ledger_entry(data: xdr.LedgerEntryData, ledger: int) -> xdr.LedgerEntry:
    return xdr.LedgerEntry(xdr.Uint32(ledger), data, xdr.LedgerEntryExt(0))


def funds_value(vault: VaultModel) -> xdr.SCVal:
    """Answer of `fetch_total_managed_funds`."""
    rows = []
    for row in vault.funds():
        strategies = [
            scval.to_struct(
                {
                    "amount": scval.to_int128(s.amount),
                    "paused": scval.to_bool(s.paused),
                    "strategy_address": scval.to_address(address),
                }
            )
            for address, s in row["strategies"].items()
        ]
        fields: dict[str, Any] = {
            "asset": scval.to_address(row["asset"]),
            "idle_amount": scval.to_int128(row["idle"]),
            "invested_amount": scval.to_int128(row["invested"]),
            "strategy_allocations": scval.to_vec(strategies),
            "total_amount": scval.to_int128(row["idle"] + row["invested"]),
        }
        rows.append(scval.to_struct(fields))
    return scval.to_vec(rows)


def assets_value(vault: VaultModel) -> xdr.SCVal:
    """Answer of `get_assets`."""
    rows = []
    for row in vault.funds():
        strategies = [
            scval.to_struct(
                {
                    "address": scval.to_address(address),
                    "name": scval.to_string("hold"),
                    "paused": scval.to_bool(s.paused),
                }
            )
            for address, s in row["strategies"].items()
        ]
        rows.append(
            scval.to_struct({"address": scval.to_address(row["asset"]), "strategies": scval.to_vec(strategies)})
        )
    return scval.to_vec(rows)


def refusal(code: xdr.TransactionResultCode, fee: int) -> str:
    """Result of a transaction that was not let in; `fee`: what it would have paid or would need to pay."""
    return xdr.TransactionResult(
        xdr.Int64(fee), xdr.TransactionResultResult(code), xdr.TransactionResultExt(0)
    ).to_xdr()


def applied_result(code: xdr.InvokeHostFunctionResultCode, fee: int, bumped: bytes | None = None) -> str:
    """Result of a call that ended with `code`; `bumped`: hash of the transaction inside a fee bump."""
    success = code is xdr.InvokeHostFunctionResultCode.INVOKE_HOST_FUNCTION_SUCCESS
    value = xdr.Hash(hashlib.sha256(b"void").digest()) if success else None
    inner = xdr.InvokeHostFunctionResult(code, success=value)
    operation = xdr.OperationResult(
        xdr.OperationResultCode.opINNER,
        xdr.OperationResultTr(xdr.OperationType.INVOKE_HOST_FUNCTION, invoke_host_function_result=inner),
    )
    outer = xdr.TransactionResultCode.txSUCCESS if success else xdr.TransactionResultCode.txFAILED
    if bumped is not None:
        own = xdr.InnerTransactionResult(
            xdr.Int64(0), xdr.InnerTransactionResultResult(outer, results=[operation]), xdr.InnerTransactionResultExt(0)
        )
        codes = xdr.TransactionResultCode
        around = codes.txFEE_BUMP_INNER_SUCCESS if success else codes.txFEE_BUMP_INNER_FAILED
        pair = xdr.InnerTransactionResultPair(xdr.Hash(bumped), own)
        result = xdr.TransactionResultResult(around, inner_result_pair=pair)
    else:
        result = xdr.TransactionResultResult(outer, results=[operation])
    return xdr.TransactionResult(xdr.Int64(fee), result, xdr.TransactionResultExt(0)).to_xdr()


def meta(success: bool) -> str:
    soroban = xdr.SorobanTransactionMetaV2(xdr.SorobanTransactionMetaExt(0), scval.to_void() if success else None)
    nothing = xdr.LedgerEntryChanges([])
    operations = [xdr.OperationMetaV2(_EXT0, nothing, [])]
    body = xdr.TransactionMetaV4(_EXT0, nothing, operations, nothing, soroban, [], [])
    return xdr.TransactionMeta(4, v4=body).to_xdr()


def error_event(contract: str, number: int) -> str:
    """Diagnostic event of a contract error."""
    error = xdr.SCVal(
        xdr.SCValType.SCV_ERROR, error=xdr.SCError(xdr.SCErrorType.SCE_CONTRACT, contract_code=xdr.Uint32(number))
    )
    event = xdr.ContractEvent(
        _EXT0,
        sc_address(contract).contract_id,
        xdr.ContractEventType.DIAGNOSTIC,
        xdr.ContractEventBody(0, v0=xdr.ContractEventV0([scval.to_symbol("error"), error], scval.to_string("refused"))),
    )
    return xdr.DiagnosticEvent(False, event).to_xdr()


def rebalance_event(contract: str, method: str) -> str:
    """Event of one instruction of a rebalance, as the vault emits it."""
    topics = [scval.to_string("DeFindexVault"), scval.to_symbol("rebalance")]
    body = scval.to_struct({"rebalance_method": scval.to_symbol(method)})
    return xdr.ContractEvent(
        _EXT0,
        sc_address(contract).contract_id,
        xdr.ContractEventType.CONTRACT,
        xdr.ContractEventBody(0, v0=xdr.ContractEventV0(topics, body)),
    ).to_xdr()


def invocation(call: xdr.InvokeContractArgs) -> xdr.SorobanAuthorizedInvocation:
    kind = xdr.SorobanAuthorizedFunctionType.SOROBAN_AUTHORIZED_FUNCTION_TYPE_CONTRACT_FN
    return xdr.SorobanAuthorizedInvocation(xdr.SorobanAuthorizedFunction(kind, contract_fn=call), [])


def own_authorization(call: xdr.InvokeContractArgs) -> xdr.SorobanAuthorizationEntry:
    kind = xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT
    return xdr.SorobanAuthorizationEntry(xdr.SorobanCredentials(kind), invocation(call))


def foreign_authorization(call: xdr.InvokeContractArgs, who: str, nonce: int) -> xdr.SorobanAuthorizationEntry:
    kind = xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_ADDRESS
    credentials = xdr.SorobanAddressCredentials(sc_address(who), xdr.Int64(nonce), xdr.Uint32(0), scval.to_void())
    return xdr.SorobanAuthorizationEntry(xdr.SorobanCredentials(kind, address=credentials), invocation(call))


def resources(read: list[xdr.LedgerKey], write: list[xdr.LedgerKey], fee: int) -> str:
    footprint = xdr.LedgerFootprint(read, write)
    used = xdr.SorobanResources(footprint, xdr.Uint32(2_000_000), xdr.Uint32(10_000), xdr.Uint32(2_000))
    return xdr.SorobanTransactionData(xdr.SorobanTransactionDataExt(0), used, xdr.Int64(fee)).to_xdr()


def header(ledger: int, close_time_s: int) -> tuple[str, str, str]:
    """(hash, header XDR, meta XDR) of a ledger; hashes of sets and buckets are of this chain's own making."""
    zero = xdr.Hash(b"\x00" * 32)
    own = hashlib.sha256(f"ledger {ledger} {close_time_s}".encode()).digest()
    value = xdr.StellarValue(
        zero, xdr.TimePoint(xdr.Uint64(close_time_s)), [], xdr.StellarValueExt(xdr.StellarValueType.STELLAR_VALUE_BASIC)
    )
    body = xdr.LedgerHeader(
        ledger_version=xdr.Uint32(PROTOCOL),
        previous_ledger_hash=xdr.Hash(hashlib.sha256(f"ledger {ledger - 1}".encode()).digest()),
        scp_value=value,
        tx_set_result_hash=zero,
        bucket_list_hash=zero,
        ledger_seq=xdr.Uint32(ledger),
        total_coins=xdr.Int64(10**18),
        fee_pool=xdr.Int64(0),
        inflation_seq=xdr.Uint32(0),
        id_pool=xdr.Uint64(0),
        base_fee=xdr.Uint32(100),
        base_reserve=xdr.Uint32(5_000_000),
        max_tx_set_size=xdr.Uint32(100),
        skip_list=[zero] * 4,
        ext=xdr.LedgerHeaderExt(0),
    )
    entry = xdr.LedgerHeaderHistoryEntry(xdr.Hash(own), body, xdr.LedgerHeaderHistoryEntryExt(0))
    close = xdr.LedgerCloseMeta(0, v0=xdr.LedgerCloseMetaV0(entry, xdr.TransactionSet(zero, []), [], [], []))
    return own.hex(), entry.to_xdr(), close.to_xdr()
