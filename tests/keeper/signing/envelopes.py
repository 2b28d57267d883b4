"""A rebalance as the keeper builds it, what was agreed about it, and the same with one thing changed."""

from __future__ import annotations

from dataclasses import dataclass

from stellar_sdk import (
    Account,
    Address,
    Asset,
    InvokeHostFunction,
    Keypair,
    StrKey,
    TransactionBuilder,
    scval,
    xdr,
)

from keeper.networks import PASSPHRASES
from keeper.signing.interface import SigningPolicy

PASSPHRASE = PASSPHRASES["devnet"]
CONTRACT, OTHER_CONTRACT = (StrKey.encode_contract(bytes([n]) * 32) for n in (7, 8))
STRANGER = Keypair.from_raw_ed25519_seed(bytes([9]) * 32).public_key
NOW_S = 1_790_000_000
MAX_FEE = 1_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """What an envelope is made of; the defaults are what `policy_for` allows.

    `operation_source`, `muxed_id`, `signed_by`: None: without. `authorized`: None: no entry, else contract and
    function that the source account allows to be called; `foreign`: in the name of somebody else.
    """

    sequence: int = 42
    contract: str = CONTRACT
    function: str = "rebalance"
    amount: int = 10**10
    fee: int = 90_000
    max_time_s: int = NOW_S + 75
    max_ledger: int = 1_000
    operation_source: str | None = None
    muxed_id: int | None = None
    memo: str | None = None
    operations: int = 1
    payment: bool = False
    authorized: tuple[str, str] | None = None
    foreign: bool = False
    signed_by: Keypair | None = None


def arguments_of(source: str, amount: int = 10**10) -> list[xdr.SCVal]:
    step = scval.to_enum("Unwind", [scval.to_address(OTHER_CONTRACT), scval.to_int128(amount)])
    return [scval.to_address(source), scval.to_vec([step])]


def policy_for(source: str, passphrase: str = PASSPHRASE) -> SigningPolicy:
    arguments = tuple(argument.to_xdr() for argument in arguments_of(source))
    return SigningPolicy(
        passphrase, source, 42, CONTRACT, "rebalance", arguments, NOW_S + 75, 1_000, MAX_FEE, now_s=NOW_S
    )


def unsigned(source: str, draft: Draft | None = None) -> str:
    """XDR of the envelope of `draft`, sent by `source`."""
    d = draft or Draft()
    account = Account(source, d.sequence - 1)
    if d.muxed_id is not None:
        account.account.account_muxed_id = d.muxed_id
    builder = TransactionBuilder(account, PASSPHRASE, d.fee // d.operations)
    builder.add_time_bounds(0, d.max_time_s).set_ledger_bounds(0, d.max_ledger)
    call = xdr.InvokeContractArgs(
        Address(d.contract).to_xdr_sc_address(),
        scval.to_symbol(d.function).sym,
        arguments_of(source, d.amount),
    )
    function = xdr.HostFunction(xdr.HostFunctionType.HOST_FUNCTION_TYPE_INVOKE_CONTRACT, invoke_contract=call)
    for _ in range(d.operations):
        if d.payment:
            builder.append_payment_op(STRANGER, Asset.native(), "1", source=d.operation_source)
        else:
            builder.append_operation(InvokeHostFunction(function, _authorizations(source, d), d.operation_source))
    if d.memo is not None:
        builder.add_text_memo(d.memo)
    envelope = builder.build()
    if d.signed_by is not None:
        envelope.sign(d.signed_by)
    return envelope.to_xdr()


def _authorizations(source: str, draft: Draft) -> list[xdr.SorobanAuthorizationEntry]:
    if draft.authorized is None:
        return []
    contract, function = draft.authorized
    call = xdr.InvokeContractArgs(
        Address(contract).to_xdr_sc_address(), scval.to_symbol(function).sym, arguments_of(source, draft.amount)
    )
    kind = xdr.SorobanAuthorizedFunctionType.SOROBAN_AUTHORIZED_FUNCTION_TYPE_CONTRACT_FN
    root = xdr.SorobanAuthorizedInvocation(xdr.SorobanAuthorizedFunction(kind, contract_fn=call), [])
    own = xdr.SorobanCredentials(xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT)
    others = xdr.SorobanCredentials(
        xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_ADDRESS,
        address=xdr.SorobanAddressCredentials(
            Address(STRANGER).to_xdr_sc_address(), xdr.Int64(1), xdr.Uint32(1_000), scval.to_void()
        ),
    )
    return [xdr.SorobanAuthorizationEntry(others if draft.foreign else own, root)]
