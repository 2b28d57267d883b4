"""The life of an intent as typed transitions. Pure: who stores them is `keeper.store`, who causes them
`keeper.executor`.

    planned > simulated > signing > signed > submitted > confirmed | failed
    expired > planned (same sequence number) | abandoned | cancelled;  unknown > confirmed | failed | needs_human
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class IllegalTransition(ValueError):
    """A state change that the machine does not know: a defect, never a condition of the network."""


class IntentState(StrEnum):
    PLANNED = "planned"
    SIMULATED = "simulated"
    SIGNING = "signing"  # the unsigned envelope is stored, the signer may be asked
    SIGNED = "signed"  # the signed envelope is stored, it may be sent
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"  # on the ledger without effect; the fee is paid
    EXPIRED = "expired"  # proved: it can never be on the ledger
    UNKNOWN = "unknown"  # the sequence number is used up, by what is not known yet
    REJECTED = "rejected"  # our own checks or the simulation refused it; nothing was signed
    SKIPPED = "skipped"  # shadow: everything but the signature
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    NEEDS_HUMAN = "needs_human"


S = IntentState
TRANSITIONS: dict[IntentState, frozenset[IntentState]] = {
    S.PLANNED: frozenset({S.SIMULATED, S.REJECTED, S.SKIPPED, S.CANCELLED, S.ABANDONED, S.UNKNOWN}),
    S.SIMULATED: frozenset({S.SIGNING, S.PLANNED, S.REJECTED, S.SKIPPED, S.CANCELLED, S.ABANDONED}),
    S.SIGNING: frozenset({S.SIGNED, S.PLANNED, S.REJECTED, S.CANCELLED}),
    S.SIGNED: frozenset({S.SUBMITTED, S.CONFIRMED, S.FAILED, S.EXPIRED, S.UNKNOWN}),
    S.SUBMITTED: frozenset({S.SUBMITTED, S.CONFIRMED, S.FAILED, S.EXPIRED, S.UNKNOWN}),
    S.EXPIRED: frozenset({S.PLANNED, S.ABANDONED, S.CANCELLED}),
    S.UNKNOWN: frozenset({S.CONFIRMED, S.FAILED, S.NEEDS_HUMAN}),
    S.NEEDS_HUMAN: frozenset({S.CONFIRMED, S.FAILED, S.ABANDONED}),
    S.CONFIRMED: frozenset(),
    S.FAILED: frozenset(),
    S.REJECTED: frozenset(),
    S.SKIPPED: frozenset(),
    S.CANCELLED: frozenset(),
    S.ABANDONED: frozenset(),
}
TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)
OPEN = frozenset(TRANSITIONS) - TERMINAL
# An envelope with our signature exists and its end is not proved: nothing new may start on the account.
UNDECIDED = frozenset({S.SIGNED, S.SUBMITTED, S.UNKNOWN, S.NEEDS_HUMAN})


def check_transition(current: IntentState, following: IntentState) -> None:
    """Raise IllegalTransition unless `following` may come after `current`."""
    if following not in TRANSITIONS[current]:
        raise IllegalTransition(f"an intent cannot go from {current} to {following}")


@dataclass(frozen=True, slots=True)
class Intent:
    """A plan to move a vault once. `plan`: weights, prices and instructions at decision time; `prepared`: the
    simulated envelope, only while it waits for a signature. `not_after`: market time."""

    id: UUID
    decision_id: UUID
    vault_id: str
    source_account: str
    action: str
    plan: Mapping[str, Any]
    state: IntentState
    reason: str | None
    attempts: int
    not_after: datetime
    prepared: Mapping[str, Any] | None
    version: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One envelope. Its hash is ours, computed before signing; what a node calls it does not matter."""

    intent_id: UUID
    n: int
    sequence: int
    unsigned_xdr: str
    tx_hash: str
    signed_xdr: str | None
    max_time: int
    max_ledger: int
    fee_bid: int
    inclusion_fee: int
    resource_fee: int
    sim_ledger: int
    first_sent_ledger: int | None
    last_sent_ledger: int | None
    state: str
    result_code: str | None
