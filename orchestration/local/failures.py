"""What stands behind an exception of a library, when that is something a person knows: a full disk, a lost database.

Libraries wrap it ("too many retries", "step failed"); the chain of causes keeps it. Pure.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from orchestration.resources.database_errors import DatabaseError, DatabaseUnavailable, DiskFull, translate

_FULL = (errno.ENOSPC, errno.EDQUOT)


def known(error: BaseException, state_root: Path) -> str | None:
    """One sentence with the way out; None for anything that is a defect of ours."""
    for cause in _chain(error):
        if isinstance(cause, DatabaseError):
            return str(cause)
        if isinstance(cause, DBAPIError) and isinstance(told := translate(cause), DiskFull | DatabaseUnavailable):
            return str(told)
        if isinstance(cause, OSError) and (words := _disk(cause, state_root)):
            return words
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what led to it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _disk(error: OSError, state_root: Path) -> str | None:
    where = error.filename or state_root
    if error.errno in _FULL:
        way_out = "free some or set BALLAST_STATE to another disk, then run it again"
        return f"no disk space left ({where}): {way_out}. What was written before stays whole"
    if error.errno == errno.EROFS:
        return f"{where} is on a read-only disk: make it writable or set BALLAST_STATE, then run it again"
    return None
