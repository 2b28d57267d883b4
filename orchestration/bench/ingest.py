"""How fast rows enter `raw.candles`, beside what PostgreSQL does with the same bytes and nothing else.

The same rows go four ways, in turns, so that a slow moment of the machine meets all of them alike: a bare COPY into a
table without index, a COPY into one with the unique index of `raw.candles`, the frame made into CSV and copied, and
`Warehouse.append`, once as new rows and once as rows that are all there already.
"""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pandas as pd
from sqlalchemy import text

from models.contracts.market import COLUMNS, Dataset
from models.stress.script import HISTORY_END
from orchestration.bench.document import Unmeasured
from orchestration.bench.figures import figure, ratio, series
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table
from orchestration.resources.warehouse_copy import to_csv
from orchestration.resources.warehouse_tables import column_types, copy_in
from orchestration.sources.simulated import SimulatedMarket
from orchestration.universe import Universe

_TABLE = raw_table(Dataset.CANDLES)
_INDEX = "(series, interval, ts, digest, available_at)"  # of raw.candles, see the first migration
_NAMES = (*COLUMNS[Dataset.CANDLES], "digest")


def sample(universe: Universe, seed: int, rows: int) -> pd.DataFrame:
    """Candle rows of the simulated market; one seed after another until there are enough of them.

    Raises Unmeasured when the simulated market has no candles.
    """
    frames: list[pd.DataFrame] = []
    while sum(map(len, frames)) < rows:
        frame = (
            SimulatedMarket(universe, seed + len(frames)).fetch(Dataset.CANDLES, None, HISTORY_END, HISTORY_END).frame
        )
        if frame.empty:
            raise Unmeasured("the simulated market of this universe has no candles")
        frames.append(frame.assign(series=frame["series"] + f":{len(frames)}"))
    return pd.concat(frames, ignore_index=True).head(rows)


def measure(warehouse: Warehouse, frame: pd.DataFrame, repeats: int) -> dict[str, Any]:
    """Rows a second of each way and their ratios. The database is migrated and holds no candles."""
    bench = _Bench(warehouse, frame)
    ways: dict[str, Callable[[], int]] = {
        "copy": bench.copy,
        "copy_indexed": bench.copy_indexed,
        "convert_and_copy": bench.convert_and_copy,
        "append": bench.append,
        "append_again": bench.append,
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    touched: dict[str, int] = {}
    for _ in range(repeats):
        bench.empty()
        for way, work in ways.items():
            bench.checkpoint()
            began = time.perf_counter()
            touched[way] = work()
            seconds[way].append(time.perf_counter() - began)
    bench.drop()
    rates = {way: series([len(frame) / s for s in spent], "rows/s") for way, spent in seconds.items()}
    append, again = rates["append"]["value"], rates["append_again"]["value"]
    return {
        "table": _TABLE,
        "rows": figure(len(frame), "rows"),
        "csv_size": figure(len(bench.prepared) / 1e6, "MB"),
        "copy_of_prepared_bytes_without_index": rates["copy"],
        "copy_of_prepared_bytes_with_the_unique_index": rates["copy_indexed"],
        "frame_to_csv_and_copy_without_index": rates["convert_and_copy"],
        "warehouse_append": {**rates["append"], "rows_added": touched["append"]},
        "warehouse_append_of_the_same_rows_again": {**rates["append_again"], "rows_added": touched["append_again"]},
        "time_of_append_to_copy_without_index": ratio(rates["copy"]["value"], append),
        "time_of_append_to_copy_with_the_unique_index": ratio(rates["copy_indexed"]["value"], append),
        "time_of_append_to_frame_to_csv_and_copy": ratio(rates["convert_and_copy"]["value"], append),
        "time_of_the_second_append_to_the_first": ratio(append, again),
    }


class _Bench:
    """The ways, on one database. Tables of comparison have the columns of the raw table and nothing else of it."""

    def __init__(self, warehouse: Warehouse, frame: pd.DataFrame) -> None:
        self.warehouse, self.frame = warehouse, frame
        # Any digests will do: they only have to be as many and as wide as the true ones.
        digests = [str(uuid.UUID(bytes=hashlib.md5(str(n).encode()).digest())) for n in range(len(frame))]
        self.complete = frame.loc[:, list(COLUMNS[Dataset.CANDLES])].assign(digest=digests)
        with warehouse.transaction() as connection:
            self.types = column_types(connection, _TABLE)
            columns = ", ".join(f"{name} {self.types[name]}" for name in _NAMES)
            connection.execute(text("create schema bench"))
            for table in ("plain", "indexed"):
                connection.execute(text(f"create table bench.{table} ({columns})"))
            connection.execute(text(f"create unique index on bench.indexed {_INDEX}"))
        self.prepared = to_csv(self.complete, self.types).getvalue()

    def empty(self) -> None:
        self.warehouse.execute(f"truncate bench.plain, bench.indexed, {_TABLE}")

    def checkpoint(self) -> None:
        """Nothing that was written before is still to be flushed while the next way is timed."""
        self.warehouse.execute("checkpoint")

    def drop(self) -> None:
        self.warehouse.execute("drop schema bench cascade")

    def copy(self) -> int:
        self.warehouse.execute("truncate bench.plain")
        return self._copied("bench.plain", self.prepared)

    def copy_indexed(self) -> int:
        return self._copied("bench.indexed", self.prepared)

    def convert_and_copy(self) -> int:
        self.warehouse.execute("truncate bench.plain")
        return self._copied("bench.plain", to_csv(self.complete, self.types).getvalue())

    def append(self) -> int:
        return self.warehouse.append(Dataset.CANDLES, self.frame, run_id=None)

    def _copied(self, table: str, prepared: bytes) -> int:
        statement = f"copy {table} ({', '.join(_NAMES)}) from stdin with (format csv)"
        with self.warehouse.transaction() as connection, closing(connection.connection.cursor()) as cursor:
            copy_in(connection, cursor, statement, io.BytesIO(prepared))
            return int(cursor.rowcount)
