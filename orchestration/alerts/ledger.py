"""`ops.alert_events`: what looks found, written under one lock, so that two processes never raise the same twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from keeper.alerts.alert import Report, Severity, anchor
from keeper.alerts.episodes import Change, Event, Known, changes
from models.contracts.market import DataMode
from models.contracts.scrub import scrub_all
from models.contracts.tables import OPS_ALERT_EVENTS
from orchestration.resources.warehouse_tables import Tables

_LOCK = 7_301_995_018  # any constant: one writer of alerts at a time
_LOCK_WAIT = "10s"  # a writer takes milliseconds; one that was stopped must not hold up every other for ever
_SUMMARY_LENGTH = 500

_NEWEST = f"""
    select newest.*, episode.peak, episode.told_at
    from (
        select distinct on (dedup_key) dedup_key, id, name, scope, event, episode, n, count, severity, summary, facts,
            evidence, runbook, since, at, due_at
        from {OPS_ALERT_EVENTS} order by dedup_key, id desc
    ) as newest
    cross join lateral (
        select
            (array_agg(e.severity order by array_position(array['info', 'warning', 'critical'], e.severity) desc))[1]
                as peak,
            coalesce(
                (array_agg(e.due_at order by e.id desc)
                    filter (where e.event <> 'cleared' and e.due_at is not null))[1],
                min(e.at)
            ) as told_at
        from {OPS_ALERT_EVENTS} as e where e.dedup_key = newest.dedup_key and e.episode = newest.episode
    ) as episode
"""
_INSERT = text(f"""
    insert into {OPS_ALERT_EVENTS} (dedup_key, name, scope, event, episode, n, count, severity, summary, facts,
        evidence, runbook, since, at, due_at, data_mode, run_id)
    values (:dedup_key, :name, :scope, :event, :episode, :n, :count, :severity, :summary, cast(:facts as jsonb),
        :evidence, :runbook, :since, :at, :due_at, :data_mode, :run_id)""")


def record(
    tables: Tables,
    report: Report,
    now: datetime,
    data_mode: DataMode,
    run_id: str | None = None,
    scrub: Callable[[str], str] = str,
) -> list[Change]:
    """Store what a look changed and return it; the same look again changes nothing.

    Parameters
    ----------
    now : wall time of the look, UTC.
    scrub : takes secrets out of a text; asked of every text before it is stored.

    Raises
    ------
    DatabaseError
        If the database is away or refuses.
    """
    with tables.transaction() as connection:
        connection.execute(text("select set_config('lock_timeout', :wait, true)"), {"wait": _LOCK_WAIT})
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = changes(_scrubbed(report, scrub), _known(connection), now)
        for change in found:
            connection.execute(_INSERT, _row(change, now) | {"data_mode": data_mode.value, "run_id": run_id})
    return found


def standing(tables: Tables, also_over: bool = False) -> list[dict[str, Any]]:
    """The newest event of each key that is open, worst first; with `also_over` of every key, newest first."""
    order = "at desc, id desc" if also_over else "array_position(array['critical', 'warning', 'info'], severity), since"
    where = "true" if also_over else "event <> 'cleared'"
    return tables.rows(f"select * from ({_NEWEST}) as found where {where} order by {order}")


def _known(connection: Connection) -> list[Known]:
    return [_as_known(row) for row in connection.execute(text(_NEWEST)).mappings()]


def _as_known(row: Mapping[Any, Any]) -> Known:
    return Known(
        name=row["name"],
        scope=row["scope"],
        event=Event(row["event"]),
        episode=row["episode"],
        n=row["n"],
        count=row["count"],
        severity=Severity(row["severity"]),
        peak=Severity(row["peak"]),
        evidence=row["evidence"],
        summary=row["summary"],
        since=row["since"],
        told_at=row["told_at"],
        due_at=row["due_at"],
    )


def _scrubbed(report: Report, scrub: Callable[[str], str]) -> Report:
    """Before anything is compared: what is stored has no secrets, and nothing that a column refuses: one odd text
    must not keep every other alert from being stored."""

    def clean(told: str) -> str:
        return scrub(told.encode("utf-8", "replace").decode().replace("\x00", ""))

    cleaned = [
        replace(
            alert, summary=clean(alert.summary)[:_SUMMARY_LENGTH], facts=scrub_all(alert.facts, clean),
            evidence=clean(alert.evidence),
        )
        for alert in report.alerts
    ]  # fmt: skip
    return replace(report, alerts=tuple(cleaned))


def _row(change: Change, now: datetime) -> dict[str, Any]:
    alert, known = change.alert, change.known
    if alert is not None:
        own: dict[str, Any] = {
            "dedup_key": alert.dedup_key, "name": alert.name.value, "scope": alert.scope, "evidence": alert.evidence,
            "summary": alert.summary, "facts": alert.facts,
        }  # fmt: skip
    else:
        assert known is not None  # only what is known can be over
        own = {
            "dedup_key": known.dedup_key, "name": known.name, "scope": known.scope, "evidence": known.evidence,
            "summary": known.summary, "facts": {},
        }  # fmt: skip
    return own | {
        "event": change.event.value, "episode": change.episode, "n": change.n, "count": change.count,
        "severity": change.severity.value, "since": change.since, "at": now, "due_at": change.due_at,
        "runbook": anchor(own["name"]),
        "facts": json.dumps(own["facts"], default=str, allow_nan=False),
    }  # fmt: skip
