"""What the devnet reads off an envelope: the transaction in it, who pays, what it bids, whether it is signed."""

from __future__ import annotations

from typing import TypeAlias

from stellar_sdk import FeeBumpTransactionEnvelope, Keypair, TransactionEnvelope, xdr
from stellar_sdk.exceptions import BadSignatureError

from keeper.networks import PASSPHRASES

PASSPHRASE = PASSPHRASES["devnet"]
Code = xdr.TransactionResultCode
Envelope: TypeAlias = TransactionEnvelope | FeeBumpTransactionEnvelope


def parse(text: str) -> Envelope:
    """A transaction or a fee bump of one, from base64 XDR."""
    if FeeBumpTransactionEnvelope.is_fee_bump_transaction_envelope(text):
        return FeeBumpTransactionEnvelope.from_xdr(text, PASSPHRASE)
    return TransactionEnvelope.from_xdr(text, PASSPHRASE)


def inner(envelope: Envelope) -> TransactionEnvelope:
    """The transaction itself, without a fee bump around it."""
    if isinstance(envelope, FeeBumpTransactionEnvelope):
        return envelope.transaction.inner_transaction_envelope
    return envelope


def payer_of(envelope: Envelope) -> str:
    """Account that pays the fee."""
    if isinstance(envelope, FeeBumpTransactionEnvelope):
        return envelope.transaction.fee_source.account_id
    return envelope.transaction.source.account_id


def bid_of(envelope: Envelope) -> int:
    """Inclusion fee offered for each operation, stroops; a fee bump counts as one more operation."""
    data, parts = inner(envelope).transaction.soroban_data, _parts(envelope)
    return (envelope.transaction.fee - (data.resource_fee.int64 if data is not None else 0)) // parts


def fee_for(envelope: Envelope, bid: int) -> int:
    """Whole fee with which `envelope` would bid `bid`."""
    data = inner(envelope).transaction.soroban_data
    return bid * _parts(envelope) + (data.resource_fee.int64 if data is not None else 0)


def _parts(envelope: Envelope) -> int:
    return max(1, len(inner(envelope).transaction.operations)) + isinstance(envelope, FeeBumpTransactionEnvelope)


def signature_problem(envelope: Envelope) -> Code | None:
    """Why the signatures are not exactly the payer's one, None if they are."""
    keypair = Keypair.from_public_key(payer_of(envelope))
    good = 0
    for decorated in envelope.signatures:
        try:
            keypair.verify(envelope.hash(), decorated.signature)
            good += decorated.signature_hint == keypair.signature_hint() and good == 0  # a second one is one too many
        except BadSignatureError:
            continue
    if good == 0:
        return Code.txBAD_AUTH
    return Code.txBAD_AUTH_EXTRA if good < len(envelope.signatures) else None
