"""What can be wrong with a database, by what the reader must do about it. One line each, no secrets."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError, OperationalError


class DatabaseError(RuntimeError):
    """Base: the database refused; trying again without a change will not help."""


class DatabaseUnavailable(DatabaseError):
    """The server does not answer. Nothing was written; run again when it is back."""


class DiskFull(DatabaseError):
    """The server has no room left. The transaction was rolled back; free space and run again."""


class StateFolderError(DatabaseError):
    """The state folder cannot be used (read-only, full, owned by somebody else)."""


_DISK_FULL = "53100"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
_NOT_LET_IN = re.compile(r'authentication failed|no pg_hba\.conf entry|role "[^"]*" does not exist')
_GOING_AWAY = ("57P01", "57P02", "57P03")


def translate(error: DBAPIError) -> DatabaseError:
    """A driver error as one of ours, first line only."""
    code = getattr(error.orig, "pgcode", None)
    text = str(error.orig).strip().split("\n")[0]
    if code == _DISK_FULL or "No space left on device" in text:
        return DiskFull(
            f"the database has no disk space left; nothing is half-written. Free space and run again ({text})"
        )
    if code is None and _NOT_LET_IN.search(text):  # a refused connection has no code
        return DatabaseError(f"the database does not let us in: correct user and password in DATABASE_URL ({text})")
    if code in _GOING_AWAY or error.connection_invalidated or (isinstance(error, OperationalError) and code is None):
        return DatabaseUnavailable(
            f"the database does not answer; nothing is half-written. Start it and run again ({text})"
        )
    return DatabaseError(f"the database refused: {text}")
