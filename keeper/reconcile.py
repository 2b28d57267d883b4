"""Taking intents to their end: step after step, within a budget of wall time. What a step does is `keeper.executor`.

A budget that runs out is no failure: the intent stays as stored and the next tick or the reconcile schedule goes on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from keeper.clock import Clock
from keeper.executor import Executor
from keeper.intent import TERMINAL, Intent, IntentState
from keeper.limits import KeeperConfig
from keeper.store import KeeperStore


class Driver:
    """Callers hold the lock of the account."""

    def __init__(self, config: KeeperConfig, store: KeeperStore, executor: Executor, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._executor = executor
        self._clock = clock

    def settle(self, market_now: datetime) -> list[Intent]:
        """Drive every open intent of this vault, oldest first, and return them as they are then.

        Another vault's intent on the same account is left to its own keeper, which knows its contract and limits.
        """
        intents = self._store.open_intents(self._config.source_account)
        return [self.drive(i, market_now) for i in intents if i.vault_id == self._config.vault.id]

    def drive(self, intent: Intent, market_now: datetime) -> Intent:
        """Advance until the end, a human or the budget; pause when a step changed nothing or waits for a ledger.

        The budget also ends steps that do change something: nodes that disagree could keep undoing a preparation.
        """
        limits = self._config.limits
        until = self._clock.now() + timedelta(seconds=limits.drive_budget_s)
        while intent.state not in TERMINAL:
            before = intent
            intent = self._executor.advance(intent, market_now)
            waiting = intent.version == before.version or intent.state is IntentState.SUBMITTED
            if self._clock.now() >= until or (waiting and self._waits_for_a_human(intent)):
                break
            if waiting:
                self._clock.sleep(limits.poll_s)
        return intent

    def _waits_for_a_human(self, intent: Intent) -> bool:
        if intent.state is IntentState.SIMULATED:
            return self._executor.awaits_approval(intent)
        return intent.state is IntentState.NEEDS_HUMAN
