"""What every backend shares: checks on the bytes it is about to sign, and on the signature it got back.

The envelope is decoded anew: what was simulated, stored or logged elsewhere is not trusted here.
"""

from __future__ import annotations

from abc import abstractmethod

from stellar_sdk import DecoratedSignature, Keypair, TransactionEnvelope, scval, xdr
from stellar_sdk.exceptions import BadSignatureError
from stellar_sdk.operation import InvokeHostFunction

from keeper.signing.interface import SignedEnvelope, Signer, SigningPolicy, SigningRefused


class HashSigner(Signer):
    """A signer whose backend signs a transaction hash with the key of `address`: what is left to each backend.

    The backend is asked only for an envelope that passed every check, and its signature leaves only if it verifies.
    """

    _address = "no account yet"  # for whoever prints a signer that failed while it was made

    def __init__(self, address: str, passphrase: str | None = None) -> None:
        self._address = address
        self._passphrase = passphrase  # of the one network it signs for; None: the one that a policy names
        self._proved = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address})"

    @property
    def address(self) -> str:
        return self._address

    def check(self) -> None:
        held = self._held_address()
        if held != self._address:
            raise SigningRefused(f"signer: the key belongs to {held}, not to {self._address}; set the keeper's account")
        self._proved = True

    def sign_envelope(self, unsigned_xdr: str, policy: SigningPolicy) -> SignedEnvelope:
        if self._passphrase is not None and policy.passphrase != self._passphrase:
            raise SigningRefused("network: the policy is for another one than this signer; look at the passphrase")
        envelope = checked(unsigned_xdr, policy)
        _require_source(envelope, self._address)
        if not self._proved:
            self.check()
        tx_hash = envelope.hash()  # built from the whole envelope: once
        return _attached(envelope, tx_hash, self._address, self._sign_hash(tx_hash))

    @abstractmethod
    def _held_address(self) -> str:
        """Address of the key that the backend holds. Raises SigningRefused or SignerUnavailable."""

    @abstractmethod
    def _sign_hash(self, tx_hash: bytes) -> bytes:
        """Ed25519 signature of the 32 bytes themselves. Raises SigningRefused or SignerUnavailable."""


def checked(unsigned_xdr: str, policy: SigningPolicy) -> TransactionEnvelope:
    """Decode `unsigned_xdr` and return it if it is exactly what `policy` allows. Raises SigningRefused."""
    try:
        envelope = TransactionEnvelope.from_xdr(unsigned_xdr, policy.passphrase)
    except (ValueError, EOFError, TypeError) as error:
        raise SigningRefused(f"envelope: cannot be decoded ({type(error).__name__})") from error
    transaction = envelope.transaction
    bounds = transaction.preconditions
    times = bounds.time_bounds if bounds is not None else None
    ledgers = bounds.ledger_bounds if bounds is not None else None
    operations = transaction.operations
    rules = {
        "signatures: the envelope is already signed": not envelope.signatures,
        "source": transaction.source.account_id == policy.source and transaction.source.account_muxed is None,
        "sequence": transaction.sequence == policy.sequence,
        "fee": 0 < transaction.fee <= policy.max_fee_stroops,
        "memo": transaction.memo.to_xdr_object().type is xdr.MemoType.MEMO_NONE,
        "time bounds": times is not None and times.max_time == policy.max_time_s,
        "validity": 0 < policy.max_time_s - policy.now_s <= policy.max_validity_s,
        "ledger bounds": ledgers is not None and ledgers.max_ledger == policy.max_ledger > 0,
        "operations": len(operations) == 1 and isinstance(operations[0], InvokeHostFunction),
    }
    _require(rules)
    operation = operations[0]
    assert isinstance(operation, InvokeHostFunction)
    call = operation.host_function.invoke_contract
    _require({"operation source": operation.source is None, "host function": call is not None})
    assert call is not None
    _require({"call": _is_the_call(call, policy), "authorization": all(_is_ours(a, policy) for a in operation.auth)})
    return envelope


def _attached(envelope: TransactionEnvelope, tx_hash: bytes, address: str, signature: bytes) -> SignedEnvelope:
    """Attach `signature` after verifying it over `tx_hash`, that of `envelope`. Raises SigningRefused."""
    keypair = Keypair.from_public_key(address)
    try:
        keypair.verify(tx_hash, signature)
    except BadSignatureError as error:
        raise SigningRefused(f"signature: {len(signature)} bytes that do not verify for {address}") from error
    envelope.signatures.append(DecoratedSignature(keypair.signature_hint(), signature))
    return SignedEnvelope(envelope.to_xdr(), tx_hash.hex())


def _require_source(envelope: TransactionEnvelope, address: str) -> None:
    if address != envelope.transaction.source.account_id:
        raise SigningRefused(f"signer: {address} is not the source of the envelope; set the keeper's source account")


def _require(rules: dict[str, bool]) -> None:
    broken = [name for name, holds in rules.items() if not holds]
    if broken:
        raise SigningRefused(f"envelope differs from what was agreed: {', '.join(broken)}")


def _is_the_call(call: xdr.InvokeContractArgs, policy: SigningPolicy) -> bool:
    contract = scval.from_address(xdr.SCVal(xdr.SCValType.SCV_ADDRESS, address=call.contract_address)).address
    return (
        contract == policy.contract
        and call.function_name.sc_symbol == policy.function.encode()
        and tuple(argument.to_xdr() for argument in call.args) == policy.arguments
    )


def _is_ours(entry: xdr.SorobanAuthorizationEntry, policy: SigningPolicy) -> bool:
    """Authorization of exactly our call by the source account itself; what the vault calls below it is its own."""
    call = entry.root_invocation.function.contract_fn
    return (
        entry.credentials.type is xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT
        and call is not None
        and _is_the_call(call, policy)
    )
