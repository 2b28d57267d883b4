"""How rows enter a raw table: COPY into a temporary table, then one insert of what is new, in file order.

One rule decides what is new: the same key with another digest is a revision; the same digest is nothing new, unless
the newest revision says otherwise and this row became known later (a value that was corrected back).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from sqlalchemy import Connection, text

from models.contracts.market import COLUMNS, KEY_COLUMNS, PROVENANCE_COLUMNS, Dataset
from orchestration.resources.warehouse_copy import FrameError
from orchestration.resources.warehouse_tables import column_types, refresh_statistics, stage

_STAGE = "ballast_raw_stage"


def raw_table(dataset: Dataset) -> str:
    return f"raw.{dataset.value}"


def payload_columns(dataset: Dataset) -> tuple[str, ...]:
    """What a revision is a revision of: everything but the key and where and when it came from."""
    return tuple(c for c in COLUMNS[dataset] if c not in (*KEY_COLUMNS, *PROVENANCE_COLUMNS))


def _digest(columns: Iterable[str], types: Mapping[str, str]) -> str:
    """SQL for the md5 of a row's payload: 1.50 and 1.5 are the same number, null is not an empty text."""
    parts = (
        f"coalesce(trim_scale({name})::text, '~')" if types[name] == "numeric" else f"coalesce({name}::text, '~')"
        for name in columns
    )
    return "md5(" + " || '|' || ".join(parts) + ")::uuid"


def _prepare(dataset: Dataset, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in table order with its place in the file (`n`) and its turn among rows of the same key (`turn`)."""
    expected = COLUMNS[dataset]
    if set(frame.columns) != set(expected) or len(frame.columns) != len(expected):
        odd = sorted(set(frame.columns) ^ set(expected))
        raise FrameError(f"{dataset.value}: columns do not match the contract ({', '.join(odd)})")
    turns = np.zeros(len(frame), dtype=int)
    repeated = frame.duplicated(list(KEY_COLUMNS), keep=False).to_numpy()
    if repeated.any():
        # An exact repeat of the row before it says nothing new. After another value it may: known later, it corrects.
        again = np.zeros(len(frame), dtype=bool)
        written = frame[repeated].astype(str)
        before = written.groupby(list(KEY_COLUMNS), sort=False).shift()
        again[repeated] = (written[before.columns] == before).all(axis=1).to_numpy()
        frame, turns = frame[~again], turns[~again]
        turns = frame.groupby(list(KEY_COLUMNS), sort=False).cumcount().to_numpy()
    return frame.loc[:, list(expected)].assign(n=np.arange(len(frame)), turn=turns)


def append_rows(connection: Connection, dataset: Dataset, frame: pd.DataFrame, run_id: str | None) -> dict[str, int]:
    if frame.empty:
        return {}
    table = raw_table(dataset)
    types = column_types(connection, table) | {"n": "bigint", "turn": "integer"}
    prepared = _prepare(dataset, frame)
    digest = _digest(payload_columns(dataset), types)
    stage(connection, _STAGE, prepared, types, f", digest uuid generated always as ({digest}) stored")
    # Writers of one table take turns, so that what is not there yet cannot appear between looking and writing.
    connection.execute(text("select pg_advisory_xact_lock(hashtext(:table))"), {"table": table})
    connection.execute(text(f"analyze {_STAGE}"))
    names = ", ".join(COLUMNS[dataset])
    bounds = {
        "low": prepared["ts"].min().to_pydatetime(),
        "high": prepared["ts"].max().to_pydatetime(),
        "series": [str(s) for s in prepared["series"].unique()],
        "run_id": run_id,
    }
    statement = text(f"""
        with newest as (
            select distinct on (series, interval, ts) series, interval, ts, digest, available_at
            from {table}
            where ts between :low and :high and series = any(:series)
            order by series, interval, ts, available_at desc, seq desc
        ),
        added as (
            insert into {table} ({names}, digest, run_id)
            select {", ".join(f"s.{name}" for name in COLUMNS[dataset])}, s.digest, :run_id
            from {_STAGE} as s
            left join newest as l on l.series = s.series and l.interval = s.interval and l.ts = s.ts
            where s.turn = :turn and (
                l.digest is null
                or (l.digest <> s.digest and (
                    s.available_at > l.available_at
                    or not exists (
                        select from {table} as t
                        where t.series = s.series and t.interval = s.interval and t.ts = s.ts and t.digest = s.digest
                    )
                ))
            )
            order by s.n
            returning series
        )
        select series, count(*) from added group by series
    """)
    added: dict[str, int] = {}
    for turn in range(int(prepared["turn"].max()) + 1):
        for series, count in connection.execute(statement, bounds | {"turn": turn}):
            added[series] = added.get(series, 0) + count
    connection.execute(text(f"drop table {_STAGE}"))
    refresh_statistics(connection, table, sum(added.values()))
    return added
