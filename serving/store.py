"""Every query of the API. Reads the `serving` views; what a run reads and writes is `models.runs`, asked through here.
Returns plain mappings, no models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import RowMapping
from sqlalchemy.pool import QueuePool

from models.decisions.pages import Pages
from models.decisions.trail import Trails
from models.events.feed import Feed
from models.runs.reading import StoredMarket
from models.runs.registry import Registry
from serving.evidence import Evidence
from serving.settings import ServingSettings

_HISTORY = text("""
    select * from serving.risk_history
    where subject = :subject and horizon_days = :horizon_days
      and (cast(:since as timestamptz) is null or issued_at >= :since)
      and (cast(:until as timestamptz) is null or issued_at < :until)
      and (cast(:before_issued_at as timestamptz) is null or (issued_at, id) < (:before_issued_at, :before_id))
    order by issued_at desc, id desc
    limit :limit
""")
_CURRENT = text("""
    select * from serving.risk_current
    where (cast(:subject as text) is null or subject = :subject)
      and (cast(:horizon_days as int) is null or horizon_days = :horizon_days)
    order by subject_kind desc, subject, horizon_days
""")
_VAR = text("""
    select * from serving.var_current
    where (cast(:subject as text) is null or subject = :subject)
      and (cast(:horizon_days as int) is null or horizon_days = :horizon_days)
      and (cast(:method as text) is null or method = :method)
    order by subject, horizon_days, method
""")
_CORRELATION = text("""
    select * from serving.correlation_current
    where scope = :scope
      and (cast(:method as text) is null or method = :method)
      and (cast(:regime as text) is null or regime = :regime)
    order by method, regime
""")
_REGIMES = text("""
    select * from serving.regimes_current
    where (cast(:subject as text) is null or subject = :subject)
      and (cast(:method as text) is null or method = :method)
    order by subject, method
""")
_STRESS = text("""
    select * from serving.stress_latest
    where cast(:vault_id as text) is null or vault_id = :vault_id order by vault_id
""")


_WRITERS = 1  # connections that may add runs: a statement each, some milliseconds long
_GATEKEEPERS = 2  # connections that look keys up, each once in seconds


def make_engine(settings: ServingSettings) -> Engine:
    """A small pool under the reader role; every statement is bounded in time."""
    return _engine(settings, settings.role, settings.pool_size)


def make_request_engine(settings: ServingSettings) -> Engine:
    """One connection, opened with the first run, under the role that may add runs."""
    return _engine(settings, settings.request_role, _WRITERS)


def make_access_engine(settings: ServingSettings) -> Engine:
    """Opened with the first key: under the role that reads keys and writes the audit log."""
    return _engine(settings, settings.access.role, _GATEKEEPERS)


def _engine(settings: ServingSettings, role: str | None, size: int) -> Engine:
    options = f"-c statement_timeout={settings.statement_timeout_ms} -c timezone=UTC"
    if role:
        options += f" -c role={role}"
    return create_engine(
        settings.database_url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=settings.statement_timeout_ms / 1000,
        pool_pre_ping=True,
        connect_args={"options": options, "connect_timeout": 3, "application_name": "ballast-serving"},
    )


class Store:
    """Read access to the materialized results of one market, and its registry of runs."""

    def __init__(self, engine: Engine, request_engine: Engine) -> None:
        self._engine, self._request_engine = engine, request_engine
        self.data = StoredMarket(self._ask)
        self.pages, self.trails = Pages(self._ask), Trails(self._ask)
        self.events = Feed(self._ask)
        self.evidence = Evidence(self._ask)
        self.runs = Registry(self._ask, self._tell)

    def pools(self) -> dict[str, QueuePool]:
        """The connections in use and at hand, by what they are for."""
        engines = {"reader": self._engine, "requester": self._request_engine}
        return {name: engine.pool for name, engine in engines.items() if isinstance(engine.pool, QueuePool)}

    def _rows(self, statement: Any, **parameters: object) -> Sequence[RowMapping]:
        with self._engine.connect() as connection:
            return connection.execute(statement, parameters).mappings().all()

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [dict(row) for row in self._rows(text(statement), **parameters)]

    def _tell(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._request_engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement), dict(parameters)).mappings()]

    def market(self) -> RowMapping | None:
        rows = self._rows(text("select * from serving.market"))
        return rows[0] if rows else None

    def current(self, subject: str | None, horizon_days: int | None) -> Sequence[RowMapping]:
        return self._rows(_CURRENT, subject=subject, horizon_days=horizon_days)

    def history(
        self,
        subject: str,
        horizon_days: int,
        since: datetime | None,
        until: datetime | None,
        before: tuple[datetime, int] | None,
        limit: int,
    ) -> Sequence[RowMapping]:
        """Newest first; `before` is the (issued_at, id) of the last row of the page before."""
        return self._rows(
            _HISTORY,
            subject=subject,
            horizon_days=horizon_days,
            since=since,
            until=until,
            before_issued_at=before[0] if before else None,
            before_id=before[1] if before else None,
            limit=limit,
        )

    def horizons(self, subject: str) -> list[int]:
        rows = self._rows(
            text("select horizon_days from serving.risk_current where subject = :subject order by 1"), subject=subject
        )
        return [int(row["horizon_days"]) for row in rows]

    def var(self, subject: str | None, horizon_days: int | None, method: str | None) -> Sequence[RowMapping]:
        return self._rows(_VAR, subject=subject, horizon_days=horizon_days, method=method)

    def correlation(self, scope: str, method: str | None, regime: str | None) -> Sequence[RowMapping]:
        return self._rows(_CORRELATION, scope=scope, method=method, regime=regime)

    def regimes(self, subject: str | None, method: str | None) -> Sequence[RowMapping]:
        return self._rows(_REGIMES, subject=subject, method=method)

    def stress(self, vault_id: str | None) -> Sequence[RowMapping]:
        return self._rows(_STRESS, vault_id=vault_id)

    def jobs(self) -> Sequence[RowMapping]:
        return self._rows(text("select * from serving.job_health order by job"))

    def series(self) -> Sequence[RowMapping]:
        return self._rows(text("select * from serving.series_health order by dataset, series, interval"))
