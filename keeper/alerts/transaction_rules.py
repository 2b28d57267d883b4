"""Rules about the transactions of one vault and the key that signs them. Pure functions from facts to alerts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from keeper.alerts.alert import Alert, AlertName, Severity, span
from keeper.alerts.facts import AlertLimits, IntentFact, Now, VaultFacts
from keeper.intent import OPEN, IntentState

_OPEN = frozenset(state.value for state in OPEN - {IntentState.NEEDS_HUMAN})
_DECIDED = (IntentState.CONFIRMED.value, IntentState.FAILED.value)
_NOT_MADE = (IntentState.REJECTED.value, IntentState.ABANDONED.value)
_ENDED = (*_DECIDED, *_NOT_MADE, IntentState.SKIPPED.value)
_FEE_CODE = "txINSUFFICIENT_FEE"


def unresolved_attempt(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """An intent without an end although its transaction can no longer land, or that never got as far as one."""
    under_way = [i for i in vault.intents if i.state in _OPEN and not i.awaits_approval]
    late = [(intent, _past_bounds(intent, now, limits)) for intent in under_way]
    late = [(intent, past) for intent, past in late if past > timedelta(0)]
    if not late:
        return
    intent, past = max(late, key=lambda pair: pair[1])
    severity = Severity.CRITICAL if past > limits.bounds_critical else Severity.WARNING
    yield Alert(
        AlertName.UNRESOLVED_ATTEMPT, severity, vault.id,
        f"a transaction of vault {vault.id} is {intent.state} and its end is not known, {span(past)} past its time",
        now.wall, _intent_facts(intent) | {"open_intents": len(late)}, intent.id,
    )  # fmt: skip


def needs_human(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """The keeper gave up on an intent; its account is blocked until somebody resolves it."""
    waiting = [intent for intent in vault.intents if intent.state == IntentState.NEEDS_HUMAN]
    if waiting:
        yield Alert(
            AlertName.NEEDS_HUMAN, Severity.CRITICAL, vault.id,
            f"intent {waiting[0].id} of vault {vault.id} cannot be decided by the keeper ({waiting[0].reason})",
            now.wall, _intent_facts(waiting[0]) | {"waiting": len(waiting)}, waiting[0].id,
        )  # fmt: skip


def awaiting_approval(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """A move that a person has to allow, while its score still justifies it; worse if it is to reduce risk."""
    waiting = [i for i in vault.intents if i.awaits_approval and (i.not_after is None or now.market <= i.not_after)]
    if waiting:
        newest = waiting[0]
        until = {"until_market_time": newest.not_after.isoformat()} if newest.not_after else {}
        yield Alert(
            AlertName.AWAITING_APPROVAL,
            Severity.CRITICAL if any(i.action == "reduce" for i in waiting) else Severity.WARNING, vault.id,
            f"intent {newest.id} of vault {vault.id} ({newest.action}) waits for somebody's approval",
            now.wall, _intent_facts(newest) | until | {"waiting": len(waiting)}, newest.id,
        )  # fmt: skip


def transaction_failed(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """The newest transactions on the ledger had no effect: a warning, critical from the second in a row on."""
    decided = [intent for intent in vault.intents if intent.state in _DECIDED]
    failed = list(takewhile(lambda intent: intent.state == IntentState.FAILED, decided))
    if failed and now.wall - failed[0].updated_at <= limits.failures_seen:
        row = f"{len(failed)} transactions in a row" if len(failed) > 1 else "a transaction"
        yield Alert(
            AlertName.TRANSACTION_FAILED, Severity.CRITICAL if len(failed) > 1 else Severity.WARNING, vault.id,
            f"{row} of vault {vault.id} failed on the ledger ({failed[0].result_code or failed[0].reason})",
            now.wall, _intent_facts(failed[0]) | {"in_a_row": len(failed)}, failed[0].id,
        )  # fmt: skip


def move_refused(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """The newest move ended before it took effect: refused by the simulation or our checks, or given up. What is too
    dear has an alert of its own. Worse if it was to reduce risk, or from the third in a row on."""
    ended = [intent for intent in vault.intents if intent.state in _ENDED]
    refused = list(takewhile(lambda intent: intent.state in _NOT_MADE and not _is_too_dear(intent), ended))
    newest_ended = bool(refused) and refused[0] is vault.intents[0]
    if newest_ended and now.wall - refused[0].updated_at <= limits.failures_seen:
        grave = refused[0].action == "reduce" or len(refused) >= limits.refused_critical
        yield Alert(
            AlertName.MOVE_REFUSED, Severity.CRITICAL if grave else Severity.WARNING, vault.id,
            f"vault {vault.id} did not move: {refused[0].reason or refused[0].state}",
            now.wall, _intent_facts(refused[0]) | {"in_a_row": len(refused)}, refused[0].id,
        )  # fmt: skip


def fee_surge(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """The newest intent ended because the network asks more than the cap; worse if it was to reduce risk."""
    if not vault.intents:
        return
    intent = vault.intents[0]
    ended_lately = intent.state not in _OPEN and now.wall - intent.updated_at <= limits.fee_surge_seen
    if ended_lately and _is_too_dear(intent):
        yield Alert(
            AlertName.FEE_SURGE, Severity.CRITICAL if intent.action == "reduce" else Severity.WARNING, vault.id,
            f"vault {vault.id} did not move: the network's fee is above the cap",
            now.wall, _intent_facts(intent), intent.id,
        )  # fmt: skip


def key_used_elsewhere(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """More sequence numbers are used up than we signed: somebody else holds the key. Or an intent ended in doubt
    because its number was used by something that is not ours."""
    key = vault.key
    foreign = 0 if key is None else max(key.last - key.first - key.ours, 0)
    doubtful = [i for i in vault.intents if i.state == IntentState.NEEDS_HUMAN and i.reason == "sequence_used"]
    if not foreign and not doubtful:
        return
    told = f"{foreign} transactions that the keeper never signed" if foreign else "its sequence number is used up"
    yield Alert(
        AlertName.KEY_USED_ELSEWHERE, Severity.CRITICAL, vault.id,
        f"the key of vault {vault.id} is used by somebody else: {told}",
        now.wall,
        {"account": key.account if key else None, "foreign": foreign, "doubtful_intents": [i.id for i in doubtful]},
        f"{key.last if key else ''}:{doubtful[0].id if doubtful else ''}",
    )  # fmt: skip


def _past_bounds(intent: IntentFact, now: Now, limits: AlertLimits) -> timedelta:
    """How long an open intent is overdue; not positive while it is not."""
    if intent.max_time_s is None:
        return now.wall - intent.created_at - limits.preparing
    return now.wall - datetime.fromtimestamp(intent.max_time_s, UTC) - limits.bounds_grace


def _is_too_dear(intent: IntentFact) -> bool:
    told = intent.reason or ""
    return intent.result_code == _FEE_CODE or told == _FEE_CODE or ("fee" in told and "above the cap" in told)


def _intent_facts(intent: IntentFact) -> dict[str, str | int | None]:
    return {
        "intent": intent.id, "state": intent.state, "action": intent.action, "reason": intent.reason,
        "transaction": intent.tx_hash, "result_code": intent.result_code, "updated_at": intent.updated_at.isoformat(),
    }  # fmt: skip
