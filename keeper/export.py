"""An envelope for a signature by hand: what was simulated, unsigned, with everything to check before signing it.

The keeper neither sends such an envelope nor follows it. It holds the sequence number that the keeper itself would use
next, so of the two only one can ever be on the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from keeper.executor import Executor
from keeper.gateway import Gateway
from keeper.intent import Intent, IntentState
from keeper.limits import KeeperConfig, Phase
from keeper.store import KeeperStore

BY_HAND_S = 600  # ten minutes to carry an envelope to a device and back
_LEDGERS_A_SECOND = 1  # the fastest network; ledger bounds must never be the tighter ones


class NothingToExport(RuntimeError):
    """There is no unsigned envelope to give out; the message says why."""


@dataclass(frozen=True, slots=True)
class UnsignedEnvelope:
    """`prepared`: as stored by the simulation: `unsigned_xdr`, `tx_hash`, `sequence`, `max_time_s`, `max_ledger`, fees,
    instructions. `fresh`: built just now; otherwise its bounds may be over."""

    intent: Intent
    passphrase: str
    prepared: Mapping[str, Any]
    fresh: bool


def export_unsigned(
    config: KeeperConfig,
    store: KeeperStore,
    gateway: Gateway,
    intent_id: UUID,
    now: datetime,
    valid_s: int = BY_HAND_S,
) -> UnsignedEnvelope:
    """The unsigned envelope of an intent: built anew where it waits for leave, as last simulated otherwise.

    Parameters
    ----------
    now : market time, for the validity of the score.
    valid_s : seconds of chain time in which a fresh envelope can be on the ledger.

    Raises
    ------
    NothingToExport
        If the intent was signed, or nothing was ever simulated for it.
    """
    intent = store.intent(intent_id)
    if intent.attempts and any(a.signed_xdr is not None for a in store.attempts(intent_id)):
        raise NothingToExport(f"intent {intent_id} is {intent.state}: the keeper's own signer has signed it")
    fresh = config.phase is Phase.APPROVE and intent.state in (IntentState.PLANNED, IntentState.SIMULATED)
    if fresh:
        intent = _built_anew(config, store, gateway, intent, now, valid_s)
    seen = [*store.noted(intent_id, "simulated"), *store.noted(intent_id, "skipped")]
    found = intent.prepared or next((body for body in reversed(seen) if "unsigned_xdr" in body), None)
    if found is None:
        raise NothingToExport(f"intent {intent_id} is {intent.state} ({intent.reason}): it was never simulated")
    if fresh:
        store.note(intent, "exported", {"tx_hash": found["tx_hash"], "sequence": found["sequence"]})
    return UnsignedEnvelope(intent, config.passphrase, found, fresh)


def _built_anew(
    config: KeeperConfig, store: KeeperStore, gateway: Gateway, intent: Intent, now: datetime, valid_s: int
) -> Intent:
    if store.is_approved(intent.id):
        raise NothingToExport(f"intent {intent.id} is approved: the keeper's own signer signs it")
    limits = replace(config.limits, validity_s=valid_s, validity_ledgers=valid_s * _LEDGERS_A_SECOND)
    executor = Executor(replace(config, limits=limits), store, gateway, None)
    with store.lock(config.source_account) as held:
        if not held:
            raise NothingToExport("another process works on the keeper's account; try again in a moment")
        intent = store.intent(intent.id)
        if intent.state is IntentState.SIMULATED:
            intent = store.move(intent, IntentState.PLANNED, {}, reason="exported")
        built = executor.advance(intent, now)
    if built.state is not IntentState.SIMULATED:
        why = built.reason if built.version != intent.version else "the chain gave no complete answer; try again"
        raise NothingToExport(f"intent {intent.id} is {built.state}: {why}")
    return built
