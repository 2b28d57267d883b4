"""API keys as they are made, listed, rotated and revoked. Rows are only added; the key itself leaves here once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from models.access.keys import Scope, digest_of, id_of
from models.contracts.tables import OPS_API_KEY_ENDS, OPS_API_KEY_USES, OPS_API_KEYS

MOST_DAYS = 3_650
_INSERT = text(f"""
    insert into {OPS_API_KEYS} (id, name, scopes, digest, per_minute, replaces, created_by, created_at, expires_at)
    values (:id, :name, :scopes, :digest, :per_minute, :replaces, :created_by, :created_at, :expires_at)
""")
_END = text(f"""
    insert into {OPS_API_KEY_ENDS} (key_id, ends_at, why, reason, said_by)
    values (:key_id, :ends_at, :why, :reason, :said_by)
""")
_STANDING = f"""
    select k.id, k.name, k.scopes, k.per_minute, k.replaces, k.created_by, k.created_at,
           least(k.expires_at, (select min(ends_at) from {OPS_API_KEY_ENDS} where key_id = k.id)) as ends_at,
           (select why from {OPS_API_KEY_ENDS} where key_id = k.id order by ends_at limit 1) as why,
           (select last_used_at from {OPS_API_KEY_USES} where key_id = k.id) as last_used_at
    from {OPS_API_KEYS} k
"""


class ApiKeyError(RuntimeError):
    """A key cannot be made or changed so; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key to be made. `per_minute`: requests, None = as many as the server gives, 0 = without a bound."""

    name: str
    scopes: Sequence[Scope]
    days: float
    per_minute: int | None = None


def create(engine: Engine, wanted: Wanted, key: str, said_by: str, now: datetime) -> datetime:
    """Store a new key, and say when it ends. Raises ApiKeyError for one that cannot be."""
    with engine.begin() as connection:
        return _add(connection, wanted, None, key, said_by, now)


def rotate(
    engine: Engine, old: str, days: float, overlap: timedelta, key: str, said_by: str, now: datetime
) -> datetime:
    """Store a new key with the name, scopes and bound of another, which ends after the overlap. As `create`."""
    with engine.begin() as connection:
        row = _open_one(connection, old, now)
        wanted = Wanted(row["name"], [Scope(scope) for scope in row["scopes"]], days, row["per_minute"])
        ends_at = _add(connection, wanted, old, key, said_by, now)
        told = {"key_id": old, "ends_at": now + overlap, "why": "rotated", "reason": "rotated", "said_by": said_by}
        connection.execute(_END, told)
    return ends_at


def revoke(engine: Engine, key_id: str, reason: str, said_by: str, now: datetime) -> None:
    """End a key now. Raises ApiKeyError for one that is not there or has ended."""
    with engine.begin() as connection:
        _open_one(connection, key_id, now)
        told = {"key_id": key_id, "ends_at": now, "why": "revoked", "reason": reason, "said_by": said_by}
        connection.execute(_END, told)


def listed(engine: Engine) -> list[Mapping[str, Any]]:
    """All keys, newest first, without digests."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(f"{_STANDING} order by created_at desc, id")).mappings()]


def state_of(row: Mapping[str, Any], now: datetime) -> str:
    """`open`, `ending` (rotated, and still open), `rotated`, `revoked` or `expired`."""
    if now < row["ends_at"]:
        return "ending" if row["why"] == "rotated" else "open"
    return str(row["why"] or "expired")


def _add(
    connection: Connection, wanted: Wanted, replaces: str | None, key: str, said_by: str, now: datetime
) -> datetime:
    if not wanted.scopes:
        raise ApiKeyError("a key needs at least one scope")
    if not 0 < wanted.days <= MOST_DAYS:
        raise ApiKeyError(f"a key lives for up to {MOST_DAYS} days")
    expires_at = now + timedelta(days=wanted.days)
    row = {
        "id": id_of(key), "name": wanted.name, "scopes": sorted({scope.value for scope in wanted.scopes}),
        "digest": digest_of(key), "per_minute": wanted.per_minute, "replaces": replaces, "created_by": said_by,
        "created_at": now, "expires_at": expires_at,
    }  # fmt: skip
    connection.execute(_INSERT, row)
    return expires_at


def _open_one(connection: Connection, key_id: str, now: datetime) -> dict[str, Any]:
    # Locked, so that of two rotations at once the second waits for the first.
    rows = connection.execute(text(f"{_STANDING} where k.id = :id for update of k"), {"id": key_id}).mappings().all()
    if not rows:
        raise ApiKeyError(f"there is no key {key_id}: `ballast keys list` shows all")
    found = dict(rows[0])
    if now >= found["ends_at"]:
        raise ApiKeyError(f"key {key_id} has ended already ({state_of(dict(found), now)})")
    return dict(found)
