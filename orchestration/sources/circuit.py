"""Circuit breaker: a provider that keeps failing is left alone for a while, also across restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from orchestration.resources.warehouse_records import ProviderState
from orchestration.sources.budget import StateStore
from orchestration.sources.errors import (
    BannedAddress,
    BudgetSpent,
    CircuitOpen,
    Outage,
    ProviderError,
    QuotaExceeded,
    Reaction,
    SchemaDrift,
)

FAILURES_TO_OPEN = 3  # calls, each already retried: fewer would react to a single bad minute
COOL_DOWN_S = 300.0  # shorter than the hourly tick, so that every tick probes once
BAN_S = 3600.0  # of a ban that does not say when it ends
MAX_OPEN_S = 3 * 86_400.0  # the longest ban a provider documents; a Retry-After beyond it is not believed

# Other errors prove that the provider is up and answering.
_FAILURES = (Outage, SchemaDrift, QuotaExceeded, BannedAddress)


class Circuit:
    """Closed: calls pass. Open: `check` raises. After the pause one call may try (half open) and decides."""

    def __init__(self, provider: str, store: StateStore, clock: Callable[[], datetime]) -> None:
        self._provider, self._store, self._clock = provider, store, clock

    def _state(self) -> ProviderState:
        return self._store.provider_state(self._provider)

    def check(self) -> None:
        state = self._state()
        if state.open_until is not None and self._clock() < state.open_until:
            until = state.open_until.strftime("%Y-%m-%dT%H:%M:%SZ")
            raise CircuitOpen(self._provider, f"not asked until {until} after {state.last_error_kind}")

    @property
    def half_open(self) -> bool:
        state = self._state()
        return state.open_until is not None and self._clock() >= state.open_until

    def success(self) -> None:
        state = self._state()
        if state.failures or state.open_until is not None or state.last_error_kind:
            self._store.save_provider_state(replace(state, failures=0, open_until=None, last_error_kind=None))

    def failure(self, error: ProviderError) -> None:
        """Record a failed call; opens the circuit on a ban, on a long quota pause and after repeated failures."""
        if isinstance(error, BudgetSpent):
            return  # our book-keeping says nothing about the provider
        if not isinstance(error, _FAILURES):
            self.success()
            return
        state = self._state()
        failures = state.failures + 1
        pause_s: float | None = None
        if isinstance(error, BannedAddress):
            pause_s = error.retry_after_s if error.retry_after_s is not None else BAN_S
        elif error.reaction is Reaction.STOP and error.retry_after_s is not None:
            pause_s = error.retry_after_s
        elif failures >= FAILURES_TO_OPEN or self.half_open:
            pause_s = COOL_DOWN_S
        open_until = self._clock() + timedelta(seconds=min(pause_s, MAX_OPEN_S)) if pause_s is not None else None
        self._store.save_provider_state(
            replace(state, failures=failures, open_until=open_until, last_error_kind=error.kind)
        )
