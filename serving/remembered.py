"""The newest scores as last read, so that they can be told while the database is away: they are good until they expire.

And what is missing in the system at large, which is read at most once in a while: a score is asked for far more often.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from serving.degradation import Cause
from serving.dependencies import market_of, read_market
from serving.ladder import Standing, standing
from serving.routes.health import job_health, series_health
from serving.schemas import Market
from serving.store import Store

Row = Mapping[Any, Any]
_AWAY = (OperationalError, PoolTimeout)


@dataclass(frozen=True, slots=True)
class Reading:
    """`rows` of `serving.risk_current`; `standing`: what is missing besides."""

    market: Market
    rows: Sequence[Row]
    standing: Standing


class Remembered:
    """Safe to share between threads. Holds one row for each subject and horizon that was ever asked for."""

    def __init__(self, store: Store, standing_s: float) -> None:
        self._store, self._standing_s = store, standing_s
        self._rows: dict[tuple[str, int], Row] = {}
        self._market: Row | None = None
        self._standing: tuple[float, Standing] | None = None
        self._away_since: datetime | None = None
        self._turn = threading.Lock()

    def current(self, subject: str | None, horizon_days: int | None) -> Reading:
        """From the database; while it is away, what it said last. Raises its error where it never said anything."""
        try:
            market_row = read_market(self._store)
            market = market_of(market_row)
            rows = [dict(row) for row in self._store.current(subject, horizon_days)]
            found = self._look(market)
        except _AWAY:
            last = self._last(subject, horizon_days)
            if last is None:
                raise
            return last
        self._market, self._away_since = market_row, None
        for row in rows:
            self._rows[row["subject"], row["horizon_days"]] = row
        return Reading(market, rows, found)

    def _look(self, market: Market) -> Standing:
        with self._turn:
            if self._standing is None or time.monotonic() - self._standing[0] > self._standing_s:
                jobs = job_health(self._store.jobs(), market)
                series = series_health(self._store.series(), market)
                self._standing = (time.monotonic(), standing(jobs, series, market.time))
            return self._standing[1]

    def _last(self, subject: str | None, horizon_days: int | None) -> Reading | None:
        rows = [
            row
            for key, row in sorted(self._rows.copy().items())
            if subject in (None, key[0]) and horizon_days in (None, key[1])
        ]
        if self._market is None or not rows:
            return None
        market = market_of(self._market)
        self._away_since = self._away_since or market.time
        detail = "The database does not answer; these are the scores it gave last."
        away = Cause(code="database_away", detail=detail, since=self._away_since)
        earlier = self._standing[1] if self._standing is not None else Standing()
        return Reading(market, rows, Standing([away, *earlier.causes], earlier.stale))
