"""PostgreSQL URLs: one spelling for every process, and one that may be shown.

Here: normalising, changing the database, hiding the password. Nothing connects.
"""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVER = "postgresql+psycopg2"  # a bare postgresql:// would mean another driver in the next SQLAlchemy


class DatabaseUrlError(ValueError):
    """A database URL cannot be understood. The message never repeats the URL: it may hold a password."""


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        raise DatabaseUrlError("the database URL cannot be read: write postgresql://user@host:5432/name") from None
    if parsed.drivername.split("+")[0] not in ("postgresql", "postgres"):
        raise DatabaseUrlError(f"the database URL starts with {parsed.drivername}://: only postgresql:// is understood")
    return parsed.set(drivername=DRIVER)


def normalise(url: str) -> str:
    """The same address as `postgresql+psycopg2://`, query (socket host, sslmode) kept. Raises DatabaseUrlError."""
    return _parse(url).render_as_string(hide_password=False)


def redact(url: str) -> str:
    """The address without its password, for messages."""
    parsed = _parse(url)
    query = {key: "***" if key == "password" else value for key, value in parsed.query.items()}
    return parsed.set(query=query).render_as_string(hide_password=True)


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return _parse(url).set(database=name).render_as_string(hide_password=False)


def database_name(url: str) -> str | None:
    return _parse(url).database or None
