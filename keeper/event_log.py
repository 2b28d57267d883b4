"""The hash-chained, append-only log of what the keeper did: writing a link, and checking that the chain holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

sql = cache(text)  # the same few statements again and again: each is parsed once
_GENESIS = "0" * 64
_EVENT_LOCK = 7_301_995_001  # any constant: one writer of the event chain at a time


class BrokenEventLog(RuntimeError):
    """The event log was altered; the message names the first row that does not fit."""


def append_event(connection: Connection, intent_id: UUID | None, kind: str, body: Mapping[str, Any]) -> None:
    """Write the next link within the transaction of `connection`; who writes beside it waits for its end."""
    connection.execute(sql("select pg_advisory_xact_lock(:key)"), {"key": _EVENT_LOCK})
    previous, at = connection.execute(
        sql("select (select hash from keeper.events order by seq desc limit 1), clock_timestamp()")
    ).one()
    previous = previous or _GENESIS
    stored = canonical(body)
    connection.execute(
        sql("""
            insert into keeper.events (intent_id, at, kind, body, prev_hash, hash)
            values (:intent, :at, :kind, cast(:body as jsonb), :previous, :hash)"""),
        {"intent": intent_id, "at": at, "kind": kind, "body": stored, "previous": previous,
         "hash": _event_hash(previous, intent_id, at, kind, json.loads(stored))},
    )  # fmt: skip


def _event_hash(previous: str, intent_id: UUID | None, at: datetime, kind: str, body: Any) -> str:
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return sha256_hex(canonical([previous, str(intent_id), moment, kind, body]))


def verify(connection: Connection) -> int:
    """Number of events whose chain holds from the first on. Raises BrokenEventLog."""
    previous, count = _GENESIS, 0
    query = sql("select seq, intent_id, at, kind, body, prev_hash, hash from keeper.events order by seq")
    for seq, intent_id, at, kind, stored, prev_hash, own in connection.execute(query):
        if prev_hash != previous or own != _event_hash(previous, intent_id, at, kind, stored):
            raise BrokenEventLog(f"keeper.events seq {seq}: hash does not follow from the row before")
        previous, count = own, count + 1
    return count


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces; Decimal and the like as text, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str, allow_nan=False)


def sha256_hex(value: str) -> str:
    """Digest of a text."""
    return hashlib.sha256(value.encode()).hexdigest()
