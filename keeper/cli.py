"""What a command line offers of the keeper, as plain functions. Parsing and printing are the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from keeper.decision import TargetInput
from keeper.intent import IllegalTransition, Intent, IntentState
from keeper.keeper import Keeper, TickOutcome
from keeper.limits import Control, ControlMode
from keeper.store import GLOBAL_SCOPE, KeeperStore


@dataclass(frozen=True, slots=True)
class KeeperStatus:
    """Switch, newest decisions (newest first) and open intents of a vault; `events`: length of the checked log."""

    control: Control
    decisions: list[dict[str, Any]]
    open_intents: list[Intent]
    events: int


def keeper_once(keeper: Keeper, target_row: TargetInput | None, market_now: datetime) -> TickOutcome:
    """One tick, to its end or its budget."""
    return keeper.tick(target_row, market_now)


def keeper_status(store: KeeperStore, vault_id: str, limit: int = 10) -> KeeperStatus:
    """Read-only. Raises BrokenEventLog if the event log was altered."""
    return KeeperStatus(
        control=store.control(vault_id),
        decisions=store.latest(vault_id, limit),
        open_intents=store.open_intents_of(vault_id),
        events=store.verify_events(),
    )


def resolve(store: KeeperStore, intent_id: UUID, state: IntentState, evidence: str, by: str) -> Intent:
    """Close an intent that waits for a human: confirmed, failed or abandoned, with what was found out and by whom.

    The switch stays as it is; `resume` is a step of its own.

    Raises
    ------
    IllegalTransition
        If the intent does not wait for a human or `state` is not an end of it.
    """
    intent = store.intent(intent_id)
    if intent.state is not IntentState.NEEDS_HUMAN:
        raise IllegalTransition(
            f"intent {intent_id} is {intent.state}: only one that needs a human is resolved by hand"
        )
    return store.move(intent, state, {"evidence": evidence, "by": by}, reason=f"resolved by {by}")


def approve(store: KeeperStore, intent_id: UUID, by: str) -> Intent:
    """Give leave to sign one intent that waits for it; the next step builds it anew on the state of then.

    Raises
    ------
    IllegalTransition
        If the intent is past the point where leave matters.
    """
    intent = _unsigned(store, intent_id)
    if not store.is_approved(intent_id):
        store.note(intent, "approved", {"by": by})
        if intent.state is IntentState.SIMULATED:
            # What waited was built on an older state, if only of a minute ago.
            return store.move(intent, IntentState.PLANNED, {}, reason="approved")
    return intent


def decline(store: KeeperStore, intent_id: UUID, reason: str, by: str) -> Intent:
    """Cancel an intent that nobody has signed; raises as `approve`."""
    intent = _unsigned(store, intent_id)
    return store.move(intent, IntentState.CANCELLED, {"by": by}, reason=f"declined by {by}: {reason}")


def _unsigned(store: KeeperStore, intent_id: UUID) -> Intent:
    intent = store.intent(intent_id)
    if intent.state not in (IntentState.PLANNED, IntentState.SIMULATED):
        raise IllegalTransition(
            f"intent {intent_id} is {intent.state}: only one that is not signed yet waits for leave"
        )
    return intent


def pause(
    store: KeeperStore, reason: str, by: str, scope: str = GLOBAL_SCOPE, mode: ControlMode = ControlMode.HALT
) -> None:
    """Stop (or only allow reducing moves) for a vault id, or for all with scope "global"."""
    store.set_control(scope, mode, reason, by)


def resume(store: KeeperStore, reason: str, by: str, scope: str = GLOBAL_SCOPE) -> None:
    """Take the switch of one scope back to run; a stricter one of the other scope still rules."""
    store.set_control(scope, ControlMode.RUN, reason, by)
