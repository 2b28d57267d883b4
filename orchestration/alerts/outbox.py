"""Who was told what: events that still wait for a channel, and the record of each attempt (`ops.alert_deliveries`).

Nothing is lost by a channel that fails: what it was not told goes on waiting. Of one key only the newest word is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from keeper.alerts.alert import Severity
from keeper.alerts.episodes import SETTLE
from keeper.alerts.storm import HOUR, Sent
from models.contracts.tables import OPS_ALERT_DELIVERIES, OPS_ALERT_EVENTS
from orchestration.resources.warehouse_tables import Tables

# A channel that was away for longer, or is new, is told what is open by the reminders, not what once was.
TELL_WITHIN = timedelta(hours=72)

LONGEST_PAUSE = timedelta(minutes=5)

# A recovery is sent only while nothing newer is known of its key. What is due later than anything is made due was
# stored by a clock that was ahead: it is due.
_WAITING = f"""
    with told as (
        select e.dedup_key, max(e.id) as upto
        from {OPS_ALERT_DELIVERIES} as d join {OPS_ALERT_EVENTS} as e on e.id = d.event_id
        where d.channel = :channel and d.outcome <> 'failed' group by e.dedup_key
    ),

    newest as (select dedup_key, max(id) as id from {OPS_ALERT_EVENTS} group by dedup_key)

    select distinct on (e.dedup_key) e.*, (
        select count(*)::int from {OPS_ALERT_DELIVERIES} as f
        where f.event_id = e.id and f.channel = :channel and f.outcome = 'failed'
    ) as failures
    from {OPS_ALERT_EVENTS} as e
    join newest on newest.dedup_key = e.dedup_key
    left join told on told.dedup_key = e.dedup_key
    where (e.due_at <= :now or e.due_at > :latest) and e.due_at > :oldest
        and e.severity = any(:severities) and e.id > coalesce(told.upto, 0)
        and (e.event <> 'cleared' or e.id = newest.id)
    order by e.dedup_key, e.id desc
"""


def waiting(tables: Tables, channel: str, now: datetime, least: Severity) -> list[dict[str, Any]]:
    """The newest due event of each key that the channel has not told, from severity `least` on; `failures`: how often
    it was tried."""
    severities = [severity.value for severity in Severity if severity.rank >= least.rank]
    return tables.rows(
        _WAITING,
        {"channel": channel, "now": now, "latest": now + SETTLE, "oldest": now - TELL_WITHIN, "severities": severities},
    )


def rests(tables: Tables, channel: str, now: datetime) -> bool:
    """Whether a channel that fails is better left alone: for as long as it had been failing when it was tried last."""
    rows = tables.rows(
        f"select min(at) as first, max(at) as last from {OPS_ALERT_DELIVERIES} "
        "where channel = :channel and outcome = 'failed' and id > coalesce(("
        f"select max(id) from {OPS_ALERT_DELIVERIES} where channel = :channel and outcome <> 'failed'), 0)",
        {"channel": channel},
    )
    first, last = rows[0]["first"], rows[0]["last"]
    return first is not None and still_rests(first, last, now)


def still_rests(first: datetime, last: datetime, now: datetime) -> bool:
    """Whether it is too early to try again what has failed since `first`, the last time at `last`."""
    return abs(now - last) < min(last - first, LONGEST_PAUSE)


def sent_lately(tables: Tables, channel: str, now: datetime) -> list[Sent]:
    """Messages of a channel in the last hour."""
    rows = tables.rows(
        f"select max(at) as at, bool_or(outcome = 'summarised') as is_summary from {OPS_ALERT_DELIVERIES} "
        "where channel = :channel and outcome <> 'failed' and at > :since group by message_id",
        {"channel": channel, "since": now - HOUR},
    )
    return [Sent(**row) for row in rows]


def note(
    tables: Tables, events: Sequence[int], channel: str, outcome: str, message: UUID, at: datetime,
    error: str | None = None,
) -> None:  # fmt: skip
    """Record one attempt: `sent`, `summarised` or `failed`."""
    with tables.transaction() as connection:
        connection.execute(
            text(
                f"insert into {OPS_ALERT_DELIVERIES} (event_id, channel, outcome, message_id, error, at) "
                "values (:event, :channel, :outcome, :message, :error, :at)"
            ),
            [
                {"event": e, "channel": channel, "outcome": outcome, "message": message, "error": error, "at": at}
                for e in events
            ],
        )


@contextmanager
def turn(tables: Tables, channel: str) -> Iterator[bool]:
    """Advisory lock of a channel for the length of the block; False if another process is at it. It belongs to the
    database session, so a killed process releases it."""
    key = int.from_bytes(hashlib.sha256(f"alerts:{channel}".encode()).digest()[:8], "big", signed=True)
    with tables.engine.connect() as connection:
        taken = bool(connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": key}))
        connection.commit()
        try:
            yield taken
        finally:
            if taken:
                connection.execute(text("select pg_advisory_unlock(:key)"), {"key": key})
                connection.commit()
