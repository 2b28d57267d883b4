"""Old years of the raw tables, copied to Parquet. They stay in the database.

Copied, never dropped: features, training panels and the replay of a decision read the whole history, gaps are counted
from its first row, and a row is known as old only because its digest is still there. A year that was dropped would be
found missing, fetched again and stored as new.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from orchestration.archive.parquet import Entry, is_there, write

_BATCH = 20_000
_TYPES = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}  # anything else is written as PostgreSQL spells it: a numeric keeps every digit
_PARTITIONS = """
    select p.relname as parent, c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bounds
    from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
    where p.relnamespace = 'raw'::regnamespace and p.relkind = 'p' order by 1, 2
"""
_COLUMNS = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = cast(:table as regclass) and attnum > 0 and not attisdropped order by attnum
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that ended before the cutoff. `last`: its newest row's `seq`, which grows with each row stored."""

    parent: str
    name: str
    rows: int
    last: int

    @property
    def file(self) -> str:
        """A later revision of an old year makes another file: none is ever changed."""
        return f"raw/{self.parent}/{self.name}.seq-{self.last}.parquet"


def old_partitions(engine: Engine, before: datetime) -> list[Partition]:
    """Partitions of raw tables with rows, all of them older than `before` (aware), by name."""
    found = []
    with engine.connect() as connection:
        for parent, name, bounds in connection.execute(text(_PARTITIONS)).all():
            end = re.search(r"TO \('([^']+)'\)", bounds)
            if end is None or _moment(connection, end[1]) > before:
                continue
            rows, last = connection.execute(text(f'select count(*), max(seq) from raw."{name}"')).one()
            if rows:
                found.append(Partition(parent, name, int(rows), int(last)))
    return found


def copy(engine: Engine, partition: Partition, folder: Path, now: datetime) -> Entry | None:
    """Copy one partition; None if the archive has it already. Raises ArchiveError or OSError."""
    if is_there(folder, partition.file):
        return None
    with engine.connect() as connection:
        columns = connection.execute(text(_COLUMNS), {"table": f"raw.{partition.name}"}).all()
        schema = pa.schema([(name, _TYPES.get(kind, pa.string())) for name, kind in columns])
        chosen = ", ".join(f'"{n}"' if kind in _TYPES else f'"{n}"::text' for n, kind in columns)
        # Up to the row that names the file: one that is stored meanwhile makes the next file.
        query = text(f'select {chosen} from raw."{partition.name}" where seq <= :last order by seq')
        rows = connection.execution_options(stream_results=True, yield_per=_BATCH).execute(
            query, {"last": partition.last}
        )
        what = f"raw.{partition.name}, a partition of raw.{partition.parent}"
        return write(folder, partition.file, what, schema, _batches(rows), now)


def _batches(rows: Any) -> Iterator[Sequence[tuple[Any, ...]]]:
    for batch in rows.partitions():
        yield [tuple(row) for row in batch]


def _moment(connection: Connection, literal: str) -> datetime:
    found: datetime = connection.execute(text("select cast(:at as timestamptz)"), {"at": literal}).scalar_one()
    return found.astimezone(UTC)
