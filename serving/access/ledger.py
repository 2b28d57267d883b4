"""Keys and the audit log in the database, under the role that reaches nothing else."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from models.access.keys import KeyRecord, Scope, redacted

_log = logging.getLogger(__name__)
_FIND = text("""
    select id, name, scopes, digest, per_minute,
           least(expires_at, (select min(ends_at) from ops.api_key_ends where key_id = k.id)) as ends_at
    from ops.api_keys k where id = :id
""")
# To the minute: a row that is written at every request would be the most written one of the database.
_USED = text("""
    insert into ops.api_key_uses as known (key_id, last_used_at) values (:id, :at)
    on conflict (key_id) do update set last_used_at = excluded.last_used_at
    where known.last_used_at < excluded.last_used_at - interval '1 minute'
""")
_CALL = text("""
    insert into ops.api_calls (request_id, event, caller, scope, method, path, status, at)
    values (:request_id, :event, :caller, :scope, :method, :path, :status, :at)
""")
_LONGEST = 200


class Ledger:
    """Blocking: call it from a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, key_id: str) -> KeyRecord | None:
        """What is kept of a key. Raises SQLAlchemyError while the database is away."""
        with self._engine.connect() as connection:
            row = connection.execute(_FIND, {"id": key_id}).mappings().one_or_none()
        if row is None:
            return None
        scopes = frozenset(Scope(scope) for scope in row["scopes"])
        return KeyRecord(row["id"], row["name"], scopes, bytes(row["digest"]), row["ends_at"], row["per_minute"])

    def used(self, key_id: str, at: datetime) -> None:
        """Say that a key opened something. What cannot be said is logged: it is no reason to refuse an answer."""
        try:
            with self._engine.begin() as connection:
                connection.execute(_USED, {"id": key_id, "at": at})
        except SQLAlchemyError as error:
            _log.warning("last use of key %s was not stored: %s", key_id, type(error).__name__)

    def write(
        self, event: str, request_id: str, caller: str, scope: Scope, method: str, path: str, status: int | None,
        at: datetime,
    ) -> None:  # fmt: skip
        """One row of the audit log. Raises SQLAlchemyError when it cannot be written."""
        row = {
            "event": event, "request_id": request_id, "caller": caller, "scope": scope.value, "method": method[:16],
            "path": _storable(redacted(path))[:_LONGEST], "status": status, "at": at,
        }  # fmt: skip
        with self._engine.begin() as connection:
            connection.execute(_CALL, row)


def _storable(path: str) -> str:
    """PostgreSQL has no place for the character zero, nor UTF-8 for half a pair."""
    return path.replace("\0", "\\0").encode("ascii", "backslashreplace").decode()
