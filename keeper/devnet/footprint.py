"""What a call declares against what it does: authorization, resource fee and the keys it writes."""

from __future__ import annotations

from stellar_sdk import TransactionEnvelope, xdr

from keeper.devnet import shapes
from keeper.devnet.contracts import Call, Effect


def resource_fee(instructions: int) -> int:
    """Resource fee a simulation asks for, in stroops: of the size that real vault calls show."""
    return 60_000 + 25_000 * instructions


def write_set(call: Call, effect: Effect) -> list[xdr.LedgerKey]:
    """Keys a call writes: the vault's balance entry of each token that moves, and the vault's own data."""
    if effect.after is None:
        return []
    own = shapes.contract_key(call.contract, shapes.INSTANCE_KEY)
    own_data = [own, *(shapes.contract_key(a, shapes.INSTANCE_KEY) for a in effect.strategies())]
    return [*own_data, *(shapes.contract_key(t, shapes.balance_key(call.contract)) for t in effect.moved())]


def authorized(envelope: TransactionEnvelope, call: Call, effect: Effect) -> bool:
    """Whether whom the contract requires is the source account and its authorization entry is there."""
    if effect.authorizer is None:
        return True
    if effect.authorizer != envelope.transaction.source.account_id:
        return False
    entries = getattr(envelope.transaction.operations[0], "auth", [])
    return any(entry == shapes.own_authorization(call.xdr) for entry in entries)


def resources_paid(envelope: TransactionEnvelope, effect: Effect) -> bool:
    """Whether the resource fee covers what the call does."""
    data = envelope.transaction.soroban_data
    assert data is not None
    return bool(data.resource_fee.int64 >= resource_fee(effect.instructions))


def inside_footprint(envelope: TransactionEnvelope, call: Call, effect: Effect) -> bool:
    """Whether every key the call writes was declared."""
    data = envelope.transaction.soroban_data
    assert data is not None
    declared = {key.to_xdr() for key in data.resources.footprint.read_write}
    return declared >= {key.to_xdr() for key in write_set(call, effect)}
