"""Reading and writing tables by COPY, in transactions, with errors in one line. Knows nothing about their meaning."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Self, TypeAlias

import pandas as pd
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.exc import DBAPIError

from orchestration.resources.database_errors import translate
from orchestration.resources.database_url import normalise
from orchestration.resources.warehouse_copy import FrameError, arrow_types, from_csv, to_csv

# A backfill stages some hundred thousand rows and sorts them once: in memory, not in temporary files.
_SESSION = "-c timezone=UTC -c work_mem=64MB -c temp_buffers=128MB"

MANY_ROWS = 10_000  # an append that changes what the planner believes of a table; an hour adds hundreds

Rows: TypeAlias = pd.DataFrame | Sequence[Mapping[str, Any]]

_TABLE_NAME = re.compile(r"^[a-z_]+\.[a-z_0-9]+$")
_DIALECT = PGDialect_psycopg2()  # type: ignore[no-untyped-call] # SQLAlchemy leaves it unannotated


class Tables:
    """Typed, transactional access to the tables of one database. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def connect(cls, url: str, application: str = "ballast") -> Self:
        """Open (lazily) the database at `url`. At most three connections; see the budget in `local.database`."""
        options = {"options": _SESSION, "application_name": application}
        engine = create_engine(
            normalise(url),
            pool_size=1,
            max_overflow=2,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, **options},
        )
        return cls(engine)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing. Raises DatabaseError (one line) instead of a driver error."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise translate(error) from error

    def read(self, sql: str, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Rows of a query with `:name` parameters. `numeric` arrives as float64 (cast to text where digits matter),
        times as aware UTC, json and arrays as Python objects."""
        with self.transaction() as connection:
            return read_frame(connection, sql, params)

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a small query as Python values: aware datetimes, Decimal, None. For frames of numbers use `read`."""
        with self.transaction() as connection:
            return [dict(row) for row in connection.execute(text(sql), dict(params or {})).mappings()]

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement; the number of rows it touched."""
        with self.transaction() as connection:
            return connection.execute(text(sql), dict(params or {})).rowcount

    def append_table(self, table: str, rows: Rows, conflict: Sequence[str] | None = ()) -> int:
        """Add rows to an append-only table; rows that exist already (by `conflict` columns, or any unique key when
        empty) are skipped. `conflict=None`: an existing row is an error. Returns the number of rows added."""
        clause = "" if conflict is None else f"on conflict {_columns(conflict)} do nothing"
        return self._insert(table, rows, clause)

    def upsert_table(self, table: str, rows: Rows, keys: Sequence[str]) -> int:
        """Add rows, or replace the other columns of the row with the same `keys` (state tables of `ops` only)."""
        frame = as_frame(rows)
        changed = [name for name in frame.columns if name not in keys]
        clause = f"on conflict {_columns(keys)} do update set " + ", ".join(f"{c} = excluded.{c}" for c in changed)
        return self._insert(table, frame, clause)

    def _insert(self, table: str, rows: Rows, conflict_clause: str) -> int:
        frame = as_frame(rows)
        if frame.empty:
            return 0
        with self.transaction() as connection:
            types = column_types(connection, table)
            stage(connection, "ballast_stage", frame, types)
            names = ", ".join(frame.columns)
            done = connection.execute(
                text(f"insert into {table} ({names}) select {names} from ballast_stage {conflict_clause}")
            )
            connection.execute(text("drop table ballast_stage"))
            refresh_statistics(connection, table, done.rowcount)
            return done.rowcount


def refresh_statistics(connection: Connection, table: str, added: int) -> None:
    """Statistics after a large append. The next step reads within seconds, long before autovacuum looks, and at a
    partitioned table as a whole autovacuum never looks: the planner would join it row by row."""
    if added >= MANY_ROWS:
        connection.execute(text(f"analyze {table}"))


def as_frame(rows: Rows) -> pd.DataFrame:
    if isinstance(rows, pd.DataFrame):
        return rows
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=object) for name in (rows[0] if rows else ())}
    )


def _columns(names: Sequence[str]) -> str:
    return f"({', '.join(names)})" if names else ""


def column_types(connection: Connection, table: str) -> dict[str, str]:
    """PostgreSQL type of each column a writer may fill (not identities), in table order."""
    if not _TABLE_NAME.match(table):
        raise FrameError(f"{table!r} is not a schema-qualified table name")
    found = connection.execute(
        text(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = to_regclass(:table) "
            "and attnum > 0 and not attisdropped and attidentity = '' and attgenerated = '' order by attnum"
        ),
        {"table": table},
    )
    types = {row.attname: str(row.format_type) for row in found}
    if not types:
        raise FrameError(f"table {table} does not exist: run the migrations")
    return types


def stage(connection: Connection, name: str, frame: pd.DataFrame, types: Mapping[str, str], extra: str = "") -> None:
    """Copy a frame into a temporary table that ends with the transaction. `extra`: further column definitions."""
    unknown = [column for column in frame.columns if column not in types]
    if unknown:
        raise FrameError(f"column {unknown[0]} does not exist in the table (it has {', '.join(types)})")
    definitions = ", ".join(f'"{column}" {types[column]}' for column in frame.columns)
    connection.execute(text(f"create temp table {name} ({definitions}{extra}) on commit drop"))
    names = ", ".join(f'"{column}"' for column in frame.columns)
    with closing(connection.connection.cursor()) as cursor:
        copy_in(connection, cursor, f"copy {name} ({names}) from stdin with (format csv)", to_csv(frame, types))


def copy_in(connection: Connection, cursor: Any, statement: str, buffer: io.BytesIO) -> None:
    # The raw cursor bypasses SQLAlchemy's error mapping, so its errors are wrapped here.
    driver_error = connection.dialect.loaded_dbapi.Error
    try:
        cursor.copy_expert(statement, buffer)
    except driver_error as error:
        raise DBAPIError.instance(statement, None, error, driver_error) from error


def read_frame(connection: Connection, sql: str, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """See `Tables.read`. Streams through COPY: ten times faster than row by row for wide frames."""
    compiled = text(sql).bindparams(**(params or {})).compile(dialect=_DIALECT)
    driver_error = connection.dialect.loaded_dbapi.Error
    with closing(connection.connection.cursor()) as cursor:
        try:
            statement = cursor.mogrify(compiled.string, compiled.construct_params()).decode()
            cursor.execute(f"select * from ({statement}) as q limit 0")
            description = cursor.description or ()
            types = arrow_types([(str(column[0]), int(str(column[1]))) for column in description])
            if types is None:
                cursor.execute(statement)
                return pd.DataFrame(cursor.fetchall(), columns=[str(column[0]) for column in description])
            buffer = io.BytesIO()
            cursor.copy_expert(f"copy ({statement}) to stdout with (format csv)", buffer)
        except driver_error as error:
            raise DBAPIError.instance(sql, None, error, driver_error) from error
    buffer.seek(0)
    return from_csv(buffer, types)
