"""The keeper of one vault: what one tick does, from a target row to a stored decision and a followed transaction.

Here: the order of a tick, and what is recorded of it. Guards are `keeper.decision`, steps `keeper.executor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from keeper.clock import Clock, WallClock
from keeper.decision import ChainFacts, Judgement, TargetInput, judge, refuse_early
from keeper.executor import Executor
from keeper.gateway import Gateway, Ok, Retryable, Uncertain
from keeper.intent import Intent, IntentState
from keeper.limits import Control, ControlMode, KeeperConfig, Phase
from keeper.reconcile import Driver
from keeper.record import inputs_json, plan_json
from keeper.signing.interface import Signer
from keeper.store import DecisionRow, KeeperStore, NewIntent
from models.allocation.policy import stable_leg
from models.contracts.vault import Decision, Reason, Verdict

# States in which no envelope of ours can land.
_UNSIGNED = (IntentState.PLANNED, IntentState.SIMULATED, IntentState.EXPIRED)


@dataclass(frozen=True, slots=True)
class TickOutcome:
    """What a tick did. `intent_state`, `tx_hash`: None without an intent or an envelope."""

    decision_id: UUID
    verdict: Verdict
    reasons: tuple[str, ...]
    intent_state: IntentState | None = None
    tx_hash: str | None = None


def record_unreachable(
    store: KeeperStore,
    vault_id: str,
    phase: Phase,
    row: TargetInput | None,
    market_now: datetime,
    run_id: str | None,
    reason: Reason = Reason.CHAIN_UNAVAILABLE,
) -> TickOutcome:
    """Store the decision of a tick that met no chain at all: hold, for `reason`. Every tick leaves a row."""
    decision = _no(reason)
    inputs = inputs_json(None, row, store.control(vault_id), None, None, None)
    stored = store.record(decision_row(vault_id, phase, run_id, row, market_now, decision, inputs))
    assert stored is not None  # only acting decisions have a unique key
    return TickOutcome(stored[0], decision.verdict, decision.reasons)


def chain_facts(config: KeeperConfig, gateway: Gateway) -> ChainFacts | None:
    """Network, own account and vault as the chain shows them now; None if it gives no complete answer."""
    assert config.vault.contract is not None
    passphrase, protocol = gateway.passphrase(), gateway.protocol()
    account, vault = gateway.account(config.source_account), gateway.vault(config.vault.contract)
    if not isinstance(protocol, Ok) or isinstance(passphrase, Retryable | Uncertain):
        return None
    if not (isinstance(account, Ok) and isinstance(vault, Ok)):
        return None
    # Nodes of different networks: no network is named, and the guard refuses.
    named = passphrase.value if isinstance(passphrase, Ok) else ""
    return ChainFacts(named, account.value, vault.value, protocol.value)


class Keeper:
    """Keeps one vault. Safe to run anywhere and as often as wanted: the account's lock, the sequence number and the
    unique key of acting decisions stand between two ticks and two transactions.

    Parameters
    ----------
    signer : may be None in phase shadow, where it is never called.
    clock : wall time for waiting; market time comes with each call.
    """

    def __init__(
        self,
        config: KeeperConfig,
        store: KeeperStore,
        gateway: Gateway,
        signer: Signer | None,
        clock: Clock | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._gateway = gateway
        executor = Executor(config, store, gateway, signer)
        self._driver = Driver(config, store, executor, clock or WallClock())

    def tick(self, target_row: TargetInput | None, market_now: datetime) -> TickOutcome:
        """Finish what is open, judge the newest target, store the decision, act on it and follow the act.

        Parameters
        ----------
        target_row : newest row of `risk.target_allocations` with prices, None if there is none.
        market_now : market time, aware UTC.

        Returns
        -------
        TickOutcome
            A decision row exists for it in every case, also when nothing was done.
        """
        with self._store.lock(self._config.source_account) as held:
            if not held:
                return self._hold(target_row, market_now, Reason.ACCOUNT_BUSY)
            self._drop_overtaken(target_row)
            self._driver.settle(market_now)
            if self._store.open_intents(self._config.source_account):
                return self._hold(target_row, market_now, Reason.INTENT_UNRESOLVED)
            control = self._store.control(self._config.vault.id)
            early = refuse_early(self._config, target_row, control, market_now)
            if early is not None or target_row is None:
                return self._store_only(target_row, market_now, early or _no(Reason.NO_TARGET), control)
            unsafe = self._chain_problem()
            if unsafe is not None:
                return self._store_only(target_row, market_now, unsafe, control)
            facts = chain_facts(self._config, self._gateway)
            if facts is None:
                return self._store_only(target_row, market_now, _no(Reason.CHAIN_UNAVAILABLE), control)
            history = self._store.history(self._config.vault.id, market_now)
            judgement = judge(self._config, target_row, control, facts, history, market_now)
            inputs = inputs_json(self._config, target_row, control, facts, history, judgement)
            return self._act(target_row, market_now, judgement, facts, inputs)

    def reconcile(self, market_now: datetime) -> list[Intent]:
        """Advance every open intent of the vault; for the minute schedule. Empty if another process is at it."""
        with self._store.lock(self._config.source_account) as held:
            return self._driver.settle(market_now) if held else []

    def _drop_overtaken(self, row: TargetInput | None) -> None:
        """Cancel moves that nobody signed yet and that the newest target would undo: leave for them comes too late."""
        if row is None or not row.target.usable:
            return
        vault = self._config.vault
        stable, zone = stable_leg(vault), vault.limits.dead_zone
        for intent in self._store.open_intents(self._config.source_account):
            if intent.vault_id != vault.id or intent.state not in _UNSIGNED:
                continue
            beyond = row.target.weights.get(stable, Decimal(0)) - Decimal(intent.plan["weights"][stable])
            if beyond > zone if intent.action == "increase" else beyond < -zone:
                event = {"target_id": row.target_id}
                self._store.move(intent, IntentState.CANCELLED, event, reason="overtaken_by_a_newer_target")

    def _chain_problem(self) -> Decision | None:
        """Why nothing new may start on this chain now, whatever the score says; None if it may."""
        health, clock = self._gateway.health(), self._gateway.clock()
        if isinstance(health, Retryable):
            return _no(Reason.CHAIN_UNHEALTHY)
        if not (isinstance(health, Ok) and isinstance(clock, Ok)):
            return _no(Reason.CHAIN_UNAVAILABLE)
        known = self._store.newest_ledger(self._config.source_account)
        if clock.value.ledger + self._config.limits.max_lag_ledgers >= known:
            return None
        why = f"ledger {clock.value.ledger} is far below {known}, where our last transaction is: network reset"
        self._store.set_control(self._config.vault.id, ControlMode.HALT, why, "keeper")
        return Decision(Verdict.REFUSE, (Reason.NETWORK_RESET,), None, Decimal(0), Decimal(0))

    def _act(
        self, row: TargetInput, now: datetime, judgement: Judgement, facts: ChainFacts, inputs: dict[str, Any]
    ) -> TickOutcome:
        decision, state = judgement.decision, judgement.state
        plan = plan_json(row, judgement, facts)
        if plan is None or decision.weights is None or state is None:
            return self._record(row, now, decision, inputs)
        stable = [a.symbol for a in self._config.vault.assets if a.stable]
        reduces = sum(decision.weights[s] - state.weights[s] for s in stable) > 0
        # Whatever waits for a signature must not outlive the score that asked for it.
        oldest = row.target.as_of + timedelta(seconds=self._config.vault.limits.max_score_age_s)
        action = "reduce" if reduces else "increase"
        new = NewIntent(self._config.source_account, action, min(row.valid_until, oldest))
        stored = self._store.record(self._row(row, now, decision, inputs, plan), new)
        if stored is None:
            return self._record(row, now, _no(Reason.ALREADY_DECIDED, decision.drift), inputs)
        decision_id, intent = stored
        assert intent is not None
        intent = self._driver.drive(intent, now)
        attempts = self._store.attempts(intent.id)
        if intent.state is IntentState.CONFIRMED:
            self._note_post_state(intent)
        return TickOutcome(
            decision_id,
            decision.verdict,
            decision.reasons,
            intent.state,
            attempts[-1].tx_hash if attempts else None,
        )

    def _note_post_state(self, intent: Intent) -> None:
        assert self._config.vault.contract is not None
        after = self._gateway.vault(self._config.vault.contract)
        if isinstance(after, Ok):
            body = {"ledger": after.value.ledger, "funds": {f.asset: f.total for f in after.value.funds}}
            self._store.note(intent, "post_state", body)

    def _hold(self, row: TargetInput | None, now: datetime, reason: Reason) -> TickOutcome:
        control = self._store.control(self._config.vault.id)
        return self._store_only(row, now, _no(reason), control)

    def _store_only(self, row: TargetInput | None, now: datetime, decision: Decision, control: Control) -> TickOutcome:
        return self._record(row, now, decision, inputs_json(self._config, row, control, None, None, None))

    def _record(
        self, row: TargetInput | None, now: datetime, decision: Decision, inputs: dict[str, Any]
    ) -> TickOutcome:
        stored = self._store.record(self._row(row, now, decision, inputs, None))
        assert stored is not None  # only acting decisions have a unique key
        return TickOutcome(stored[0], decision.verdict, decision.reasons)

    def _row(
        self,
        row: TargetInput | None,
        now: datetime,
        decision: Decision,
        inputs: dict[str, Any],
        plan: dict[str, Any] | None,
    ) -> DecisionRow:
        return decision_row(
            self._config.vault.id, self._config.phase, self._config.run_id, row, now, decision, inputs, plan
        )


def decision_row(
    vault_id: str,
    phase: Phase,
    run_id: str | None,
    row: TargetInput | None,
    now: datetime,
    decision: Decision,
    inputs: dict[str, Any],
    plan: dict[str, Any] | None = None,
) -> DecisionRow:
    """The row of `keeper.decisions` of one tick."""
    return DecisionRow(
        vault_id=vault_id,
        policy_version=row.target.policy_version if row else "none",
        score_as_of=row.target.as_of if row else None,
        verdict=decision.verdict.value,
        reasons=decision.reasons,
        inputs=inputs,
        plan=plan,
        data_mode=row.data_mode.value if row else "none",
        phase=phase.value,
        market_time=now,
        run_id=run_id,
    )


def _no(reason: Reason, drift: Decimal = Decimal(0)) -> Decision:
    return Decision(Verdict.HOLD, (reason,), None, Decimal(0), drift)
