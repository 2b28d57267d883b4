from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from models.contracts.market import COLUMNS, DataMode, Dataset
from orchestration.resources.database_errors import DatabaseError, DatabaseUnavailable
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_copy import FrameError
from orchestration.resources.warehouse_records import QuarantineEntry
from orchestration.resources.warehouse_tables import MANY_ROWS
from orchestration.sources.interface import Answer, Fetch, Reject

T0 = datetime(2022, 1, 3, tzinfo=UTC)


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    made = Warehouse.connect(database_url)
    yield made
    made.close()


def rates(rows: Sequence[tuple[str, datetime, Any, datetime]]) -> pd.DataFrame:
    """Frame of (series, ts, rate, available_at)."""
    n = len(rows)
    columns: dict[str, list[Any]] = {name: [None] * n for name in COLUMNS[Dataset.FX_RATES]}
    columns |= {
        "series": [r[0] for r in rows], "interval": ["1d"] * n, "ts": [r[1] for r in rows], "base": ["USD"] * n,
        "quote": ["NGN"] * n, "kind": ["official"] * n, "side": ["mid"] * n, "rate": [r[2] for r in rows],
        "source_regime": ["free"] * n, "source": ["test"] * n, "provider": ["test"] * n, "data_mode": ["simulated"] * n,
        "available_at": [r[3] for r in rows],
    }  # fmt: skip
    return pd.DataFrame(columns)


def candles(closes: Sequence[str], start: datetime = T0, series: str = "BTC") -> pd.DataFrame:
    ts = [start + timedelta(hours=i) for i in range(len(closes))]
    return pd.DataFrame(
        {
            "series": series, "interval": "1h", "ts": pd.to_datetime(ts, utc=True), "open": list(closes),
            "high": list(closes), "low": list(closes), "close": list(closes), "volume_base": "1.0",
            "volume_quote": None,
            "trades": None, "source": "test", "provider": "test", "data_mode": "simulated",
            "available_at": pd.to_datetime([t + timedelta(hours=1) for t in ts], utc=True),
        }
    )  # fmt: skip


def stored_rates(warehouse: Warehouse) -> list[tuple[str, int, str, int]]:
    frame = warehouse.read("select series, ts, rate::text as rate, available_at from raw.fx_rates order by seq")
    return [
        (r.series, (r.ts - T0).days, r.rate, (r.available_at - T0).days)
        for r in frame.itertuples()
    ]  # fmt: skip


def test_second_run_adds_nothing(warehouse: Warehouse) -> None:
    frame = candles(["1.10", "2", "3.000"])
    assert warehouse.append(Dataset.CANDLES, frame, "r1") == 3
    assert warehouse.append(Dataset.CANDLES, frame, "r2") == 0
    assert warehouse.append(Dataset.CANDLES, candles(["1.1", "2.0", "3"]), "r3") == 0  # the same numbers
    assert warehouse.append(Dataset.CANDLES, frame.iloc[::-1], "r4") == 0
    assert warehouse.watermark(Dataset.CANDLES, "BTC", "1h") == T0 + timedelta(hours=2)
    assert warehouse.watermark(Dataset.CANDLES, "ETH", "1h") is None


def described(warehouse: Warehouse, table: str) -> list[str]:
    """Columns of a raw table that the planner knows something about."""
    sql = "select attname::text as name from pg_stats where schemaname = 'raw' and tablename = :table"
    return [row["name"] for row in warehouse.rows(sql, {"table": table})]


def entries(count: int) -> list[QuarantineEntry]:
    return [
        QuarantineEntry(Dataset.CANDLES, "BTC", "flag", "flat_bar", "", T0, DataMode.SIMULATED, value=str(i))
        for i in range(count)
    ]


def test_the_planner_hears_of_large_appends_at_once(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.CANDLES, candles(["1"] * 100), None)
    warehouse.quarantine(entries(100))
    assert described(warehouse, "candles") == described(warehouse, "quarantine") == []
    warehouse.append(Dataset.CANDLES, candles(["1"] * MANY_ROWS, series="ETH"), None)
    warehouse.quarantine(entries(100 + MANY_ROWS))
    assert {"series", "interval", "ts", "seq"} <= set(described(warehouse, "candles"))  # of all partitions together
    assert {"dataset", "series"} <= set(described(warehouse, "quarantine"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.1234567890123456789012345678", "0.1234567890123456789012345678"),
        (Decimal("123456789012345678.000000000001"), "123456789012345678.000000000001"),
        (0.1, "0.1"),
        (1e-5, "0.00001"),
        ("1.2500", "1.2500"),
        (7, "7"),
    ],
)
def test_numbers_are_not_rounded(warehouse: Warehouse, value: Any, expected: str) -> None:
    warehouse.append(Dataset.FX_RATES, rates([("USDNGN:a", T0, value, T0)]), None)
    assert stored_rates(warehouse) == [("USDNGN:a", 0, expected, 0)]


# Each step: rows appended as (day of ts, rate, day it became known); then everything stored, in order.
REVISIONS: list[tuple[str, list[list[tuple[int, str, int]]], list[tuple[int, str, int]]]] = [
    ("a correction is a new row", [[(0, "1", 0)], [(0, "2", 1)]], [(0, "1", 0), (0, "2", 1)]),
    ("corrected back later", [[(0, "1", 0)], [(0, "2", 1)], [(0, "1", 2)]], [(0, "1", 0), (0, "2", 1), (0, "1", 2)]),
    ("old file read again", [[(0, "1", 0)], [(0, "2", 1)], [(0, "1", 0)]], [(0, "1", 0), (0, "2", 1)]),
    ("same value, known again later", [[(0, "1", 0)], [(0, "1", 3)]], [(0, "1", 0)]),
    ("older knowledge arrives late", [[(0, "2", 1)], [(0, "1", 0)]], [(0, "2", 1), (0, "1", 0)]),
    ("conflict inside one file", [[(0, "1", 0), (0, "2", 0)]], [(0, "1", 0), (0, "2", 0)]),
    ("repeat inside one file", [[(0, "1", 0), (0, "1", 0)]], [(0, "1", 0)]),
    ("back and forth, same time", [[(0, "1", 0), (0, "2", 0), (0, "1", 0)]], [(0, "1", 0), (0, "2", 0)]),
    (
        "repeat after an older value",
        [[(0, "1", 0), (0, "1", 1), (0, "2", 0), (0, "1", 1)]],
        [(0, "1", 0), (0, "2", 0), (0, "1", 1)],
    ),
    ("back and forth, later", [[(0, "1", 0), (0, "2", 1), (0, "1", 2)]], [(0, "1", 0), (0, "2", 1), (0, "1", 2)]),
]


@pytest.mark.parametrize(("steps", "expected"), [c[1:] for c in REVISIONS], ids=[c[0] for c in REVISIONS])
def test_revisions(
    warehouse: Warehouse, steps: list[list[tuple[int, str, int]]], expected: list[tuple[int, str, int]]
) -> None:
    def day(n: int) -> datetime:
        return T0 + timedelta(days=n)

    frames = [rates([("USDNGN:a", day(ts), rate, day(known)) for ts, rate, known in step]) for step in steps]
    for frame in frames:
        warehouse.append(Dataset.FX_RATES, frame, None)
    assert stored_rates(warehouse) == [("USDNGN:a", *row) for row in expected]
    assert [warehouse.append(Dataset.FX_RATES, frame, None) for frame in frames] == [0] * len(frames)


def insert_by_rule(table: list[tuple[str, int, str, int]], rows: Sequence[tuple[str, int, str, int]]) -> None:
    """The rule, row by row: the slow reference."""
    for row in rows:
        same_key = [(known, i, rate) for i, (s, ts, rate, known) in enumerate(table) if (s, ts) == row[:2]]
        newest = max(same_key, default=None)
        said_before = any(rate == row[2] for _, _, rate in same_key)
        if not said_before or (newest is not None and newest[2] != row[2] and row[3] > newest[0]):
            table.append(row)


ROW = st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 2), st.sampled_from(["1", "2", "3"]), st.integers(0, 3))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(ROW, max_size=8), min_size=1, max_size=3))
def test_insert_equals_the_rule(warehouse: Warehouse, batches: list[list[tuple[str, int, str, int]]]) -> None:
    run = uuid.uuid4()  # examples share the database
    expected: list[tuple[str, int, str, int]] = []
    for batch in batches:
        named = [(f"{run}-{s}", ts, rate, known) for s, ts, rate, known in batch]
        before = len(expected)
        insert_by_rule(expected, named)
        frame = rates([(s, T0 + timedelta(days=t), r, T0 + timedelta(days=k)) for s, t, r, k in named])
        assert warehouse.append(Dataset.FX_RATES, frame, None) == len(expected) - before
    found = [row for row in stored_rates(warehouse) if row[0].startswith(str(run))]
    assert sorted(found) == sorted(expected)


def test_concurrent_writers_of_the_same_rows(warehouse: Warehouse, database_url: str) -> None:
    frames = [candles([str(1 + i % 7) for i in range(500)]), candles([str(1 + i % 7) for i in range(500)])]
    frames[1]["available_at"] += pd.Timedelta(minutes=5)  # the unique key alone would let these in
    added: list[int] = []

    def write(frame: pd.DataFrame) -> None:
        own = Warehouse.connect(database_url)
        added.append(own.append(Dataset.CANDLES, frame, None))
        own.close()

    threads = [threading.Thread(target=write, args=(frame,)) for frame in frames * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [0, 0, 0, 500]


BAD_FRAMES = [
    ("a column is missing", lambda f: f.drop(columns="close"), FrameError, "close"),
    ("a column too many", lambda f: f.assign(vwap="1"), FrameError, "vwap"),
    ("times without a zone", lambda f: f.assign(ts=f["ts"].dt.tz_localize(None)), FrameError, "ts"),
    ("not a number", lambda f: f.assign(close=["1", "abc", "3"]), DatabaseError, "abc"),
    ("NaN as text", lambda f: f.assign(close=["1", "NaN", "3"]), DatabaseError, "check"),
    ("a missing price", lambda f: f.assign(close=["1", None, "3"]), DatabaseError, "close"),
    ("a negative price", lambda f: f.assign(low=["1", "-2", "3"]), DatabaseError, "check"),
    ("an unknown mode", lambda f: f.assign(data_mode="invented"), DatabaseError, "data_mode"),
]


@pytest.mark.parametrize(("break_it", "error", "words"), [c[1:] for c in BAD_FRAMES], ids=[c[0] for c in BAD_FRAMES])
def test_a_bad_frame_leaves_nothing(warehouse: Warehouse, break_it: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        warehouse.append(Dataset.CANDLES, break_it(candles(["1", "2", "3"])), None)
    assert "\n" not in str(caught.value)
    assert warehouse.read("select count(*) as n from raw.candles")["n"].item() == 0


def test_dates_outside_every_partition_are_kept(warehouse: Warehouse) -> None:
    days = [datetime(1971, 1, 4, tzinfo=UTC), datetime(1999, 12, 31, tzinfo=UTC), datetime(2045, 6, 1, tzinfo=UTC)]
    assert warehouse.append(Dataset.FX_RATES, rates([("A", d, "1", d) for d in days]), None) == 3
    assert warehouse.append(Dataset.FX_RATES, rates([("A", d, "1", d) for d in days]), None) == 0


def test_store_writes_rows_rejects_and_log_together(warehouse: Warehouse) -> None:
    fetch = Fetch(
        candles(["1", "2"]),
        (Reject(Dataset.CANDLES, "BTC", "not_a_number", "close is 'x'", {"ts": "2022-01-03", "close": "x"}),),
        (Answer("first", "BTC", 0, "failed", "quota", "429"), Answer("second", "BTC", 2, "partial")),
    )

    def store() -> tuple[int, int, int]:
        done = warehouse.store(
            Dataset.CANDLES,
            fetch,
            window=(None, T0),
            data_mode=DataMode.SIMULATED,
            known_at=T0,
            started_at=T0,
            run_id="r",
        )
        return done.rows_received, done.rows_added, done.rows_rejected

    assert store() == (2, 2, 1)
    assert store() == (2, 0, 1)
    log = warehouse.read("select provider, rows_added, rows_rejected, outcome from raw.ingest_log order by id")
    assert [tuple(row) for row in log.to_numpy()] == [
        ("first", 0, 0, "failed"), ("second", 2, 1, "partial"), ("first", 0, 0, "failed"), ("second", 0, 1, "partial"),
    ]  # fmt: skip
    kept = warehouse.read("select action, reason, payload from raw.quarantine")
    assert [tuple(row) for row in kept.to_numpy()] == [("reject", "not_a_number", {"ts": "2022-01-03", "close": "x"})]


def test_quarantine_and_release_are_recorded_once(warehouse: Warehouse) -> None:
    entry = QuarantineEntry(
        Dataset.FX_RATES, "USDNGN:a", "hold", "jump", "far off", T0, DataMode.REPLAY, "1d", T0, value="18.0"
    )  # fmt: skip
    other = QuarantineEntry(Dataset.FX_RATES, "USDNGN:a", "flag", "jump", "same day", T0, DataMode.REPLAY, "1d", T0)
    assert warehouse.quarantine([entry, other], "r") == 2
    assert warehouse.quarantine([entry, entry, other], "r") == 0
    ids = warehouse.read("select id from raw.quarantine where action = 'hold'")["id"].tolist()
    assert warehouse.release(ids, reason="confirmed", released_by="rule", known_at=T0) == 1
    assert warehouse.release(ids, reason="again", released_by="me", known_at=T0) == 0
    assert warehouse.read("select reason from raw.quarantine_releases")["reason"].tolist() == ["confirmed"]


def test_latest_reads_as_known_at(warehouse: Warehouse) -> None:
    def day(n: int) -> datetime:
        return T0 + timedelta(days=n)

    frame = rates([("A", day(0), "1", day(0)), ("A", day(0), "2", day(5)), ("A", day(1), "3", day(1))])
    warehouse.append(Dataset.FX_RATES, frame, None)
    assert warehouse.latest(Dataset.FX_RATES, "A", "1d", ["rate"])["rate"].tolist() == [2.0, 3.0]
    assert warehouse.latest(Dataset.FX_RATES, "A", "1d", ["rate"], known_at=day(4))["rate"].tolist() == [1.0, 3.0]
    assert warehouse.latest(Dataset.FX_RATES, "A", "1d", ["rate"], start=day(1), end=day(2))["rate"].tolist() == [3.0]


def test_append_table_skips_what_exists_and_refuses_surprises(warehouse: Warehouse) -> None:
    score = {
        "subject": "BTC", "subject_kind": "series", "horizon_days": 1, "as_of": T0, "issued_at": T0, "valid_until": T0,
        "status": "ok", "reasons": ['quiet, "very" \\ quiet', "b"], "score": 50.0,
        "model_name": "har", "model_version": "1",
        "data_mode": "simulated", "share_imputed": 0.0, "share_stale": 0.0, "degraded": False,
        "drivers": [{"name": "rv"}],
    }  # fmt: skip
    assert warehouse.append_table("risk.scores", [score]) == 1
    assert warehouse.append_table("risk.scores", [score, {**score, "horizon_days": 7}]) == 1
    found = warehouse.read("select reasons, drivers, score from risk.scores where horizon_days = 1")
    assert found["reasons"].item() == score["reasons"]
    assert found["drivers"].item() == score["drivers"]
    with pytest.raises(DatabaseError, match="duplicate key"):
        warehouse.append_table("risk.scores", [score], conflict=None)
    with pytest.raises(FrameError, match="colour"):
        warehouse.append_table("risk.scores", [{**score, "colour": "red"}])
    with pytest.raises(FrameError, match="does not exist"):
        warehouse.append_table("risk.nothing", [score])
    with pytest.raises(FrameError, match="table name"):
        warehouse.append_table("risk.scores; drop table risk.scores", [score])
    assert warehouse.append_table("risk.scores", []) == 0


def test_read_keeps_types_nulls_and_empty_texts(warehouse: Warehouse) -> None:
    frame = warehouse.read(
        "select 1::bigint as i, 1.5::numeric as x, null::float8 as y, ''::text as empty, null::text as none, "
        "true as b, '2022-01-03 01:02:03.000004+00'::timestamptz as t, :word as word",
        {"word": "it's 100 % : fine\nindeed"},
    )
    row = frame.iloc[0]
    assert (row["i"], row["x"], row["empty"], row["b"]) == (1, 1.5, "", True)
    assert pd.isna(row["y"])
    assert pd.isna(row["none"])
    assert row["t"] == pd.Timestamp("2022-01-03T01:02:03.000004Z")
    assert row["word"] == "it's 100 % : fine\nindeed"
    empty = warehouse.read("select ts, close from raw.candles")
    assert str(empty["ts"].dtype) == "datetime64[us, UTC]"
    assert list(empty.columns) == ["ts", "close"]


def test_read_keeps_a_lone_null(warehouse: Warehouse) -> None:
    got = warehouse.read("select x from (values (1.5), (null), (2.0)) as t (x)")
    assert got["x"].isna().tolist() == [False, True, False]


def test_a_failure_inside_a_transaction_undoes_all_of_it(warehouse: Warehouse) -> None:
    def write_then_fail() -> None:
        with warehouse.transaction() as connection:
            connection.execute(
                text("insert into keeper.control (scope, mode, reason, set_by) values ('a', 'halt', 'r', 'm')")
            )
            connection.execute(text("select 1 / 0"))

    with pytest.raises(DatabaseError, match="refused"):
        write_then_fail()
    assert warehouse.read("select * from keeper.control").empty


def test_server_away_is_one_line() -> None:
    away = Warehouse.connect("postgresql://me:hunter2@127.0.0.1:9/none")
    with pytest.raises(DatabaseUnavailable, match="nothing is half-written") as caught:
        away.append(Dataset.CANDLES, candles(["1"]), None)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
