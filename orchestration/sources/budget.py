"""Request budgets that survive restarts, and the protocol of the store that keeps what providers must remember.

Here: counting against a quota window. Not here: the circuit breaker (`circuit`), sending (`http`), the table
(`orchestration.resources.warehouse`, which is the store).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from orchestration.resources.warehouse_records import ProviderState
from orchestration.sources.errors import BudgetSpent


class StateStore(Protocol):
    """Where provider states live. The warehouse is one."""

    def provider_state(self, provider: str) -> ProviderState:
        """What is remembered; a fresh state if the provider was never used."""

    def save_provider_state(self, state: ProviderState) -> None: ...

    def spend_budget(self, provider: str, window: str, limit: int, cost: int = 1) -> bool:
        """Take `cost` from the window at once for all processes; False, and nothing taken, when it is used up. A
        negative `cost` gives back."""


class Every(StrEnum):
    MINUTE = "minute"
    THIRD_OF_DAY = "third of a day"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` requests (or credits) in every UTC minute, third of a day, day or month."""

    limit: int
    every: Every


_THIRD = timedelta(hours=8)
_FORMATS = {
    Every.MINUTE: "%Y-%m-%dT%H:%M",
    Every.THIRD_OF_DAY: "%Y-%m-%dT%H",
    Every.DAY: "%Y-%m-%d",
    Every.MONTH: "%Y-%m",
}


class Budget:
    """Counts requests before they are sent, so that a crash can only overcount; what was never sent is given back."""

    def __init__(self, provider: str, quota: Quota, store: StateStore, clock: Callable[[], datetime]) -> None:
        self._provider, self._quota, self._store, self._clock = provider, quota, store, clock

    def remaining(self) -> int:
        state = self._store.provider_state(self._provider)
        used = state.budget_used if state.budget_window == self._window() else 0
        return max(self._quota.limit - used, 0)

    def spend(self, cost: int = 1) -> None:
        """Take `cost` from the current window. Raises BudgetSpent, with the pause until the next window."""
        if not self._store.spend_budget(self._provider, self._window(), self._quota.limit, cost):
            detail = f"own budget of {self._quota.limit} requests a {self._quota.every} is used up"
            raise BudgetSpent(self._provider, detail, self._until_next_window_s())

    def give_back(self, cost: int = 1) -> None:
        """The request that was counted last did not leave."""
        self._store.spend_budget(self._provider, self._window(), self._quota.limit, -cost)

    def pace(self, what: str, every: Every) -> Budget:
        """A budget of one success in every window: how often `what` is worth a request of a small plan."""
        return Budget(f"{self._provider}/{what}", Quota(1, every), self._store, self._clock)

    def _window(self) -> str:
        return self._start().strftime(_FORMATS[self._quota.every])

    def _start(self) -> datetime:
        """The minute, or the third of a day, that runs."""
        minute = self._clock().replace(second=0, microsecond=0)
        thirds = self._quota.every is Every.THIRD_OF_DAY
        return minute.replace(hour=minute.hour // 8 * 8, minute=0) if thirds else minute

    def _until_next_window_s(self) -> float:
        now, start = self._clock(), self._start()
        if self._quota.every is Every.MINUTE:
            end = start + timedelta(minutes=1)
        elif self._quota.every is Every.THIRD_OF_DAY:
            end = start + _THIRD
        elif self._quota.every is Every.DAY:
            end = start.replace(hour=0, minute=0) + timedelta(days=1)
        else:
            end = (start.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
        return (end - now).total_seconds()
