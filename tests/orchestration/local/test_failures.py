"""Which exceptions are told as one sentence, however deep a library has wrapped them."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from orchestration.local.failures import known
from orchestration.resources.database_errors import DatabaseError, DatabaseUnavailable, StateFolderError, translate
from orchestration.resources.database_url import with_database

STATE = Path("/state")


def wrapped(cause: BaseException) -> RuntimeError:
    try:
        try:
            raise cause
        except type(cause) as error:
            raise RuntimeError("too many retries") from error
    except RuntimeError as error:
        return error


def disk(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path) if path else OSError(number, os.strerror(number))


def lost() -> OperationalError:
    return OperationalError("select 1", None, psycopg2.OperationalError("server closed the connection\nunexpectedly"))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (disk(errno.ENOSPC, "/state/x"), r"^no disk space left \(/state/x\): free some"),
        (disk(errno.ENOSPC), r"^no disk space left \(/state\)"),
        (disk(errno.EDQUOT), r"^no disk space left"),
        (disk(errno.EROFS, "/state/x"), r"^/state/x is on a read-only disk"),
        (lost(), r"^the database does not answer; nothing is half-written.*\(server closed the connection\)$"),
        (StateFolderError("fix it"), r"^fix it$"),
    ],
)
def test_known_however_deep(error: BaseException, told: str) -> None:
    for shown in (error, wrapped(error), wrapped(wrapped(error))):
        words = known(shown, STATE)
        assert words is not None
        assert re.search(told, words)
        assert "\n" not in words


@pytest.mark.parametrize("error", [ValueError("x"), disk(errno.ENOENT, "/state/x"), disk(errno.EACCES)])
def test_anything_else_is_a_defect(error: BaseException) -> None:
    assert known(error, STATE) is None
    assert known(wrapped(error), STATE) is None


def test_a_wrong_statement_is_a_defect(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(DBAPIError) as raised:
        connection.execute(text("select no_such_column"))
    assert known(raised.value, STATE) is None


def test_a_role_that_is_not_there_is_no_server_that_is_away(server_url: str) -> None:
    stranger = create_engine(
        with_database(server_url, "postgres"), connect_args={"user": "stranger"}, poolclass=NullPool
    )
    with pytest.raises(DBAPIError) as raised:
        stranger.connect()
    told = translate(raised.value)
    assert not isinstance(told, DatabaseUnavailable)
    assert isinstance(told, DatabaseError)
    assert "correct user and password in DATABASE_URL" in str(told)
