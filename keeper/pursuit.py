"""An envelope that carries our signature is followed to a proved end: confirmed, failed, expired, or a human.

Always look before sending; resend the same bytes while they can still land; never conclude from a send's answer.
What looks prove is `keeper.evidence`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from keeper.evidence import Finding, conclude, on_ledger, outlived
from keeper.gateway import Gateway, Ok, SendStatus, TransactionView
from keeper.intent import Attempt, Intent, IntentState
from keeper.limits import ControlMode, KeeperConfig, stopped_by
from keeper.store import KeeperStore

# Answers that no later ledger will change: the key or the account is wrong, so the vault stops until somebody looks.
_FATAL_CODES = frozenset({"txBAD_AUTH", "txBAD_AUTH_EXTRA", "txNO_ACCOUNT", "txMALFORMED", "txSOROBAN_INVALID"})


class Pursuit:
    def __init__(self, config: KeeperConfig, store: KeeperStore, gateway: Gateway) -> None:
        self._config = config
        self._store = store
        self._gateway = gateway

    def advance(self, intent: Intent, now: datetime) -> Intent:
        """One step of a signed, submitted, expired or unknown intent; final states are returned as they are."""
        if intent.state in (IntentState.SIGNED, IntentState.SUBMITTED):
            return self._follow(intent)
        if intent.state is IntentState.EXPIRED:
            return self._replace(intent, now)
        if intent.state in (IntentState.UNKNOWN, IntentState.NEEDS_HUMAN):
            return self._look_everywhere(intent)
        return intent

    def _follow(self, intent: Intent) -> Intent:
        attempt = self._store.attempts(intent.id)[-1]
        first = self._gateway.transaction(attempt.tx_hash)
        if not isinstance(first, Ok):
            return intent
        settled = on_ledger(first.value)
        if settled is not None:
            return self._settle(intent, attempt, settled, first.value)
        if not outlived(attempt, first.value.clock):
            return self._send(intent, attempt, first.value)
        second = self._gateway.transaction(attempt.tx_hash)
        account = self._gateway.account(intent.source_account)
        if not (isinstance(second, Ok) and isinstance(account, Ok)):
            return intent
        finding = conclude(attempt, first.value, second.value, account.value)
        if finding is Finding.ALIVE:
            return intent
        if finding is Finding.EXPIRED and not isinstance(self._gateway.health(), Ok):
            return intent  # ledgers stall or the node catches up: no verdict while it says so itself
        return self._settle(intent, attempt, finding, second.value)

    def _send(self, intent: Intent, attempt: Attempt, look: TransactionView) -> Intent:
        """Send the stored bytes, unless they were sent a moment ago or switch or phase forbid it."""
        ledger = look.clock.ledger
        recently = attempt.last_sent_ledger is not None and (
            ledger - attempt.last_sent_ledger < self._config.limits.resend_after_ledgers
        )
        # Also for a second send: bytes that no node took are not out, and those that one took need no other send.
        held_back = not self._config.phase.signs or self._stopped(intent) is not None
        if recently or held_back or attempt.signed_xdr is None:
            return intent
        if attempt.result_code == "txBAD_SEQ":
            account = self._gateway.account(intent.source_account)
            if isinstance(account, Ok) and account.value.sequence >= attempt.sequence:
                # Not on the ledger under our hash and the number is gone: somebody else uses the key.
                return self._settle(intent, attempt, Finding.SEQUENCE_USED, look)
        answer = self._gateway.send(attempt.signed_xdr)
        body: dict[str, Any] = {"tx_hash": attempt.tx_hash, "ledger": ledger}
        code = attempt.result_code
        if isinstance(answer, Ok):
            body |= {"status": answer.value.status.value, "code": answer.value.result_code}
            refused = answer.value.status is SendStatus.ERROR and attempt.first_sent_ledger is None
            code = answer.value.result_code if refused else code
            if answer.value.required_fee is not None:
                rest = answer.value.required_fee - attempt.resource_fee
                body["required_inclusion_fee"] = rest if rest > 0 else answer.value.required_fee
        else:
            body |= {"status": type(answer).__name__.lower(), "error": answer.reason}
        sent = replace(
            attempt,
            state="submitted",
            first_sent_ledger=attempt.first_sent_ledger or ledger,
            last_sent_ledger=ledger,
            result_code=code,
        )
        return self._store.move(intent, IntentState.SUBMITTED, body, attempt=sent)

    def _settle(self, intent: Intent, attempt: Attempt, finding: Finding, look: TransactionView) -> Intent:
        to = {
            Finding.SUCCESS: IntentState.CONFIRMED,
            Finding.FAILED: IntentState.FAILED,
            Finding.EXPIRED: IntentState.EXPIRED,
        }.get(finding, IntentState.UNKNOWN)
        outcome = {"contract_error": look.contract_error, "ledger": look.ledger, "fee_charged": look.fee_charged}
        body = {"tx_hash": attempt.tx_hash, "finding": finding.value, "result_code": look.result_code, **outcome,
                "chain": {"ledger": look.clock.ledger, "close_time_s": look.clock.close_time_s,
                          "oldest_ledger": look.clock.oldest_ledger}}  # fmt: skip
        ended = replace(attempt, state=to.value, result_code=look.result_code or attempt.result_code)
        error = None if look.contract_error is None else str(look.contract_error)
        reason = None if to is IntentState.CONFIRMED else finding.value
        if to is IntentState.FAILED and look.result_code is not None:
            reason = look.result_code
        done = self._store.move(
            intent, to, body, reason=reason, attempt=ended, outcome=outcome | {"contract_error": error}
        )
        failures = self._store.failures_in_row(intent.source_account) if to is IntentState.FAILED else 0
        if failures >= self._config.limits.max_failures_in_row:
            self._store.note(done, "repeated_failures", {"in_row": failures, "result_code": look.result_code})
        return done

    def _replace(self, intent: Intent, now: datetime) -> Intent:
        """expired > planned with the same sequence number, as long as score, switch and patience allow."""
        attempt = self._store.attempts(intent.id)[-1]
        if attempt.result_code in _FATAL_CODES:
            self._store.set_control(intent.vault_id, ControlMode.HALT, f"network said {attempt.result_code}", "keeper")
            return self._store.move(intent, IntentState.ABANDONED, {}, reason=attempt.result_code)
        stopped = self._stopped(intent)
        if stopped is not None:
            return self._store.move(intent, IntentState.CANCELLED, {}, reason=stopped)
        if now > intent.not_after:
            return self._store.move(intent, IntentState.ABANDONED, {}, reason="score_expired")
        if intent.attempts >= self._config.limits.max_attempts:
            return self._store.move(intent, IntentState.ABANDONED, {}, reason="too_many_attempts")
        return self._store.move(
            intent, IntentState.PLANNED, {"replaces": attempt.tx_hash, "sequence": attempt.sequence}
        )

    def _look_everywhere(self, intent: Intent) -> Intent:
        """The sequence number is used up: look for every envelope ever signed with it, never build the next one."""
        own = self._store.attempts(intent.id)[-1]
        looks = []
        for attempt in self._store.signed_with_sequence(intent.source_account, own.sequence):
            look = self._gateway.transaction(attempt.tx_hash)
            if not isinstance(look, Ok):
                return intent
            looks.append(look.value)
            settled = on_ledger(look.value)
            if settled in (Finding.SUCCESS, Finding.FAILED) and attempt.intent_id == intent.id:
                return self._settle(intent, attempt, settled, look.value)
        if intent.state is IntentState.NEEDS_HUMAN:
            return intent
        found_other = any(on_ledger(look) in (Finding.SUCCESS, Finding.FAILED) for look in looks)
        patience = own.max_ledger + self._config.limits.unknown_patience_ledgers
        if not found_other and looks and min(look.clock.ledger for look in looks) < patience:
            return intent
        why = f"intent {intent.id} cannot be decided ({intent.reason}), sequence {own.sequence}"
        self._store.set_control(intent.vault_id, ControlMode.HALT, why, "keeper")
        return self._store.move(intent, IntentState.NEEDS_HUMAN, {"sequence": own.sequence})

    def _stopped(self, intent: Intent) -> str | None:
        return stopped_by(self._store.control(intent.vault_id).mode, intent.action)
