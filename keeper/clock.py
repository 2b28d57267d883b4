"""Wall time for waiting and budgets. What a transaction may still do is never asked here: that is the chain's clock."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime


class Clock(ABC):
    @abstractmethod
    def now(self) -> datetime:
        """Aware UTC."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class WallClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
