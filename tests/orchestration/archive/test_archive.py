"""The archive: every row and digit of old years, runs that read back as runs, and nothing lost when it goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance
from dagster._serdes import deserialize_value
from sqlalchemy import Engine, text

from orchestration.archive import old_runs, parquet, raw_partitions
from orchestration.archive.parquet import ArchiveError, Entry
from orchestration.assets.housekeeping import archived
from orchestration.resources.workspace import Workspace

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EXACT = "0.123456789012345678901234567890"
INSERT = text(
    "insert into raw.candles (series, interval, ts, open, high, low, close, volume_base, source, provider, data_mode, "
    "available_at, digest) values ('BTC', '1h', :ts, 1, 2, 1, cast(:close as numeric), null, 's', 'p', 'simulated', "
    ":ts, gen_random_uuid())"
)


def add(engine: Engine, *years: int) -> None:
    with engine.begin() as connection:
        for year in years:
            connection.execute(INSERT, {"ts": datetime(year, 3, 4, 5, tzinfo=UTC), "close": EXACT})


def archive(engine: Engine, folder: Path, before: datetime = NOW) -> list[Entry | None]:
    return [raw_partitions.copy(engine, p, folder, NOW) for p in raw_partitions.old_partitions(engine, before)]


@pytest.mark.parametrize(
    ("before", "names"),
    [
        (NOW, ["candles_2019", "candles_2024"]),
        (datetime(2025, 1, 1, tzinfo=UTC), ["candles_2019", "candles_2024"]),
        (datetime(2024, 12, 31, tzinfo=UTC), ["candles_2019"]),  # the year is not over
        (datetime(2019, 1, 1, tzinfo=UTC), []),
    ],
)
def test_only_years_that_are_over_are_old(engine: Engine, before: datetime, names: list[str]) -> None:
    add(engine, 2019, 2024, 2026)
    assert [partition.name for partition in raw_partitions.old_partitions(engine, before)] == names


def test_a_copy_has_every_digit_and_the_table_keeps_its_rows(engine: Engine, tmp_path: Path) -> None:
    add(engine, 2019, 2019 + 1)
    (entry, other) = archive(engine, tmp_path)
    assert entry is not None
    assert other is not None
    assert (entry.rows, entry.path) == (1, "raw/candles/candles_2019.seq-1.parquet")
    row = pq.read_table(tmp_path / entry.path).to_pylist()[0]
    assert (row["series"], row["ts"], row["close"], row["volume_base"], row["seq"]) == (
        "BTC", datetime(2019, 3, 4, 5, tzinfo=UTC), EXACT, None, 1,
    )  # fmt: skip
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from raw.candles")) == 2
    assert [e.path for e in parquet.entries(tmp_path)] == [entry.path, other.path]
    assert [parquet.problem(tmp_path, e) for e in parquet.entries(tmp_path)] == [None, None]


def test_what_is_there_is_not_written_again_and_a_revision_makes_a_new_file(engine: Engine, tmp_path: Path) -> None:
    add(engine, 2019)
    archive(engine, tmp_path)
    assert archive(engine, tmp_path) == [None]
    add(engine, 2019)
    (revised,) = archive(engine, tmp_path)
    assert revised is not None
    assert (revised.rows, revised.path) == (2, "raw/candles/candles_2019.seq-2.parquet")
    assert len(parquet.entries(tmp_path)) == 2


def test_damage_is_told(engine: Engine, tmp_path: Path) -> None:
    add(engine, 2019)
    (entry,) = archive(engine, tmp_path)
    assert entry is not None
    path = tmp_path / entry.path
    path.write_bytes(path.read_bytes()[:-1])
    assert parquet.problem(tmp_path, entry) == "is not what its manifest says"
    path.unlink()
    assert parquet.problem(tmp_path, entry) == "is not there"
    (tmp_path / f"{entry.path}.manifest.json").write_text("{")
    with pytest.raises(ArchiveError, match="cannot be read"):
        parquet.entries(tmp_path)


def test_what_cannot_be_read_back_is_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "read_rows", lambda path: iter([[{"a": 2}]]))
    with pytest.raises(ArchiveError, match="1 rows were read back of 1 written, or not the same"):
        parquet.write(tmp_path, "x.parquet", "x", pa.schema([("a", pa.int64())]), [[(1,)]], NOW)
    assert list(tmp_path.iterdir()) == []


@dg.asset
def thing() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 3})


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        for _ in range(2):
            dg.materialize([thing], instance=made)
        yield made


def test_runs_and_events_read_back_as_they_were(instance: DagsterInstance, tmp_path: Path) -> None:
    (runs,) = old_runs.by_day(instance, datetime.now(UTC) + timedelta(days=1))
    assert old_runs.by_day(instance, datetime.now(UTC)) == [], "today is not over"
    kept, events = old_runs.copy(instance, runs, tmp_path, NOW)
    assert (kept.rows, events.rows) == (2, sum(len(instance.all_logs(run)) for run in runs))
    rows = pq.read_table(tmp_path / kept.path).to_pylist()
    assert [deserialize_value(row["run"], dg.DagsterRun) for row in rows] == [instance.get_run_by_id(r) for r in runs]
    told = pq.read_table(tmp_path / events.path).to_pylist()
    assert [deserialize_value(row["event"]) for row in told] == [e for run in runs for e in instance.all_logs(run)]
    assert [row["run_id"] for row in told if row["event_type"] == "ASSET_MATERIALIZATION"] == runs
    assert {row["asset"] for row in told} == {None, "thing"}
    assert old_runs.copy(instance, runs, tmp_path, NOW) == []
    assert old_runs.copy(instance, [], tmp_path, NOW) == []


def test_housekeeping_copies_years_and_runs(instance: DagsterInstance, workspace: Workspace, tmp_path: Path) -> None:
    add(workspace.warehouse.engine, 2019)
    runs = [run.run_id for run in instance.get_runs()]
    written = archived(instance, workspace, runs, tmp_path / "archive", NOW)
    assert [entry.rows for entry in written][:2] == [1, 2]
    assert len(parquet.entries(tmp_path / "archive")) == 3
    assert archived(instance, workspace, runs, tmp_path / "archive", NOW) == []
