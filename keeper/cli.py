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


def keeper_status(store: KeeperStore, vault_id: str, source_account: str, limit: int = 10) -> KeeperStatus:
    """Read-only. Raises BrokenEventLog if the event log was altered."""
    return KeeperStatus(
        control=store.control(vault_id),
        decisions=store.latest(vault_id, limit),
        open_intents=store.open_intents(source_account),
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


def pause(
    store: KeeperStore, reason: str, by: str, scope: str = GLOBAL_SCOPE, mode: ControlMode = ControlMode.HALT
) -> None:
    """Stop (or only allow reducing moves) for a vault id, or for all with scope "global"."""
    store.set_control(scope, mode, reason, by)


def resume(store: KeeperStore, reason: str, by: str, scope: str = GLOBAL_SCOPE) -> None:
    """Take the switch of one scope back to run; a stricter one of the other scope still rules."""
    store.set_control(scope, ControlMode.RUN, reason, by)
