"""New scores, decisions and alerts as events, in the order in which they became visible. Nothing is missed: a row is an
event only when no older transaction can still add a row before it.

Statements are text and are asked through a function of the caller; process, clock and readers are elsewhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from models.contracts.tables import KEEPER_DECISIONS, OPS_ALERT_EVENTS, RISK_SCORES
from models.events.position import Position
from models.runs.reading import Ask

EventType = Literal["score", "decision", "alert"]
TYPES: tuple[EventType, ...] = get_args(EventType)

# Sequence numbers are drawn before a transaction commits, so that a higher one can be visible first. What is younger
# than the oldest transaction still under way waits for the next reading. Ages, because transaction ids run in a ring.
_RING = 2**32
_OLDEST = f"cast(cast(cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint) % {_RING} as text) as xid)"
_SETTLED = f"age({{table}}.xmin) > age({_OLDEST})"

_SCORES = f"""
    select s.id as seq, s.subject as series, s.recorded_at as at, jsonb_build_object(
        'horizon_days', s.horizon_days, 'as_of', s.as_of, 'issued_at', s.issued_at, 'valid_until', s.valid_until,
        'score', s.score, 'p_spike', s.p_spike, 'status', s.status, 'reasons', s.reasons, 'degraded', s.degraded,
        'model_version', s.model_version, 'data_mode', s.data_mode
    ) as data, jsonb_build_object(
        'score', p.score, 'status', p.status, 'model_version', p.model_version
    ) as before
    from {RISK_SCORES} as s left join lateral (
        select score, status, model_version from {RISK_SCORES} as past
        where past.subject = s.subject and past.horizon_days = s.horizon_days
            and (past.issued_at, past.id) < (s.issued_at, s.id)
        order by past.issued_at desc, past.id desc limit 1
    ) as p on true
    where s.id > :after and {_SETTLED.format(table="s")} order by s.id limit :limit
"""
_DECISIONS = f"""
    select d.seq, 'vault:' || d.vault_id as series, d.created_at as at, jsonb_build_object(
        'decision_id', d.id, 'vault_id', d.vault_id, 'as_of', d.score_as_of, 'market_time', d.market_time,
        'verdict', d.verdict, 'reasons', d.reasons, 'policy_version', d.policy_version, 'phase', d.phase,
        'data_mode', d.data_mode
    ) as data, jsonb_build_object('verdict', p.verdict) as before
    from {KEEPER_DECISIONS} as d left join lateral (
        select verdict from {KEEPER_DECISIONS} as past where past.vault_id = d.vault_id and past.seq < d.seq
        order by past.seq desc limit 1
    ) as p on true
    where d.seq > :after and {_SETTLED.format(table="d")} order by d.seq limit :limit
"""
_ALERTS = f"""
    select e.id as seq, e.scope as series, e.at, jsonb_build_object(
        'name', e.name, 'scope', e.scope, 'event', e.event, 'severity', e.severity, 'summary', e.summary,
        'since', e.since, 'count', e.count, 'runbook', e.runbook, 'data_mode', e.data_mode
    ) as data, jsonb_build_object('event', p.event, 'severity', p.severity) as before
    from {OPS_ALERT_EVENTS} as e left join lateral (
        select event, severity from {OPS_ALERT_EVENTS} as past
        where past.dedup_key = e.dedup_key and past.id < e.id order by past.id desc limit 1
    ) as p on true
    where e.id > :after and {_SETTLED.format(table="e")} order by e.id limit :limit
"""
_STATEMENTS: Mapping[EventType, str] = {"score": _SCORES, "decision": _DECISIONS, "alert": _ALERTS}
_BACK = f"""
    select
        coalesce((select id from {RISK_SCORES} as s where {_SETTLED.format(table="s")}
            order by id desc offset :back limit 1), 0) as score,
        coalesce((select seq from {KEEPER_DECISIONS} as d where {_SETTLED.format(table="d")}
            order by seq desc offset :back limit 1), 0) as decision,
        coalesce((select id from {OPS_ALERT_EVENTS} as e where {_SETTLED.format(table="e")}
            order by id desc offset :back limit 1), 0) as alert
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One new row.

    `position`: where a reader stands who has read it. `series`: the subject of a score, `vault:<id>` of a decision, the
    scope of an alert. `at`: wall time at which it was stored. `data`: JSON values. `changed`: what differs from the row
    before it of the same subject, vault or alert, as (before, now); before the first all was None.
    """

    type: EventType
    position: Position
    series: str
    at: datetime
    data: Mapping[str, Any]
    changed: Mapping[str, tuple[Any, Any]]

    @property
    def key(self) -> str:
        """Names the event for good: `score-42`."""
        return f"{self.type}-{self.number}"

    @property
    def number(self) -> int:
        """Its sequence number in its own table."""
        return int(getattr(self.position, self.type))


class Feed:
    """Reads events. `ask(statement, parameters)` answers rows."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def back(self, count: int) -> Position:
        """The position with at most `count` rows of each table after it; 0: the newest."""
        return Position(**self._ask(_BACK, {"back": count})[0])

    def after(self, position: Position, limit: int) -> list[Event]:
        """Events after a position, at most `limit` of each type. By the time they were stored, but never against the
        order of their own table."""
        rows = [
            [(type_, row) for row in self._ask(_STATEMENTS[type_], {"after": getattr(position, type_), "limit": limit})]
            for type_ in TYPES
        ]
        found: list[Event] = []
        for type_, row in heapq.merge(*rows, key=lambda told: told[1]["at"]):
            position = position.with_number(type_, row["seq"])
            data, before = row["data"], row["before"]
            changed = {name: (before[name], data[name]) for name in before if before[name] != data[name]}
            found.append(Event(type_, position, row["series"], row["at"], data, changed))
        return found


def document(event: Event) -> dict[str, Any]:
    """An event as it is told."""
    return {
        "id": event.key, "type": event.type, "series": event.series, "at": event.at.isoformat(), **event.data,
        "changed": {name: {"from": before, "to": now} for name, (before, now) in event.changed.items()},
        "link": link(event),
    }  # fmt: skip


def link(event: Event) -> str:
    """Where the API has the whole of it."""
    if event.type == "score":
        asked = urlencode({"subject": event.series, "horizon_days": event.data["horizon_days"]}, safe=":/")
        return f"/v1/risk/current?{asked}"
    return f"/v1/decisions/{event.data['decision_id']}" if event.type == "decision" else "/health"
