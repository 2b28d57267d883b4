"""What the warehouse is given and gives back besides frames: small frozen records, no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from models.contracts.clock import MarketClock
from models.contracts.market import DataMode, Dataset

Action = Literal["reject", "hold", "flag"]


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One row or print that is not believed. `reject`: could not be stored, `payload` keeps it. `hold`: stored, but
    features use the last good one. `flag`: used, and marked. The same entry is recorded once."""

    dataset: Dataset
    series: str
    action: Action
    reason: str
    detail: str
    known_at: datetime
    data_mode: DataMode
    interval: str | None = None
    ts: datetime | None = None
    digest: str | None = None  # of the revision concerned
    value: str | None = None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one fetch."""

    rows_received: int
    rows_added: int
    rows_rejected: int
    added_by_series: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MarketRow:
    """The market this database belongs to."""

    name: str
    data_mode: DataMode
    seed: int | None
    clock: MarketClock


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Circuit breaker and budget of one provider; survives restarts."""

    provider: str
    budget_window: str | None = None  # the provider's own window, such as 2026-01
    budget_used: int = 0
    budget_limit: int | None = None
    failures: int = 0
    open_until: datetime | None = None
    last_error_kind: str | None = None
