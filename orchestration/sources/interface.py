"""The one interface of all market sources: simulated, replayed and live markets answer the same questions.

Here: what a market is and what a fetch returns. Providers live one a file beside this; writing to PostgreSQL
is `orchestration.resources.warehouse`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from models.contracts.market import DataMode, Dataset, SeriesSpec


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not become a row: kept in quarantine with its payload."""

    dataset: Dataset
    series: str
    reason: str  # one of a short list: impossible_date, not_a_number, not_positive, negative, schema
    detail: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one provider said about one request; becomes a row of `raw.ingest_log`."""

    provider: str
    series: str | None
    rows: int
    outcome: str  # ok | partial | failed
    error_kind: str | None = None
    error_text: str | None = None  # never holds a key or a URL with one


@dataclass(frozen=True, slots=True)
class Fetch:
    """Rows as a frame with exactly `COLUMNS[dataset]`, numbers as str, Decimal or exact floats, times aware UTC."""

    frame: pd.DataFrame
    rejects: tuple[Reject, ...] = ()
    answers: tuple[Answer, ...] = field(default=())


class Market(ABC):
    """A market under its own clock. Nothing later than `now` is ever returned (by `available_at`)."""

    mode: DataMode
    name: str

    @abstractmethod
    def series(self) -> Sequence[SeriesSpec]:
        """The series this market offers, in a fixed order."""

    @abstractmethod
    def history_start(self) -> datetime:
        """First moment from which hourly data is expected: where daily partitions begin."""

    @abstractmethod
    def history_end(self) -> datetime:
        """Where the market's clock stands before it runs (simulated: a fixed date; replay: newest row; live: now)."""

    @abstractmethod
    def fetch(
        self,
        dataset: Dataset,
        start: datetime | None,
        end: datetime,
        now: datetime,
        series: Sequence[str] | None = None,
    ) -> Fetch:
        """Rows with start <= ts < end that are known at `now`, for all or the named series.

        `start=None` means from the beginning. One failing series or provider becomes a failed `Answer`,
        never an exception that loses the others.
        """
