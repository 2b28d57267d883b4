from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from orchestration.local import embedded_postgres
from orchestration.local.database import (
    create_databases,
    ensure_server,
    server_running,
    stop_server,
    workspace_databases,
)
from orchestration.local.embedded_postgres import Cluster
from orchestration.resources.database_errors import DatabaseUnavailable, StateFolderError
from orchestration.resources.database_url import database_name
from orchestration.settings import Settings, load_settings


def settings_at(folder: Path, **environment: str) -> Settings:
    return load_settings({"BALLAST_STATE": str(folder), **environment})


@pytest.fixture
def state(fast_folder: Path) -> Iterator[Path]:
    yield fast_folder
    stop_server(settings_at(fast_folder))


def query(url: str, statement: str) -> object:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def leftovers(folder: Path) -> list[str]:
    """Sockets, pid and lock files, processes of a server under `folder`."""
    files = [str(p) for p in folder.rglob("*") if p.is_socket() or p.suffix == ".lock" or p.name == "postmaster.pid"]
    running = psutil.process_iter(["pid", "name", "cmdline"])
    return files + [str(p.info["pid"]) for p in running if str(folder) in " ".join(p.info["cmdline"] or ())]


def test_server_is_shared_and_stops_with_its_last_user(state: Path) -> None:
    settings = settings_at(state)
    with ensure_server(settings) as first:
        assert first.started_here
        assert query(first.base_url, "show listen_addresses") == ""
        second = ensure_server(settings)
        assert (second.started_here, second.base_url) == (False, first.base_url)
        assert not second.close()
        assert query(first.base_url, "select 1") == 1
    assert not server_running(settings)
    assert leftovers(state) == []


def test_server_may_stay_until_it_is_stopped(state: Path) -> None:
    settings = settings_at(state)
    handle = ensure_server(settings)
    databases = workspace_databases(settings, handle.base_url)
    assert create_databases(databases) == ("ballast_simulated", "dagster_simulated", "mlflow_simulated")
    assert create_databases(databases) == ()
    assert not handle.close(keep_running=True)
    assert not handle.close()
    assert query(databases.dagster, "show timezone") == "UTC"
    assert stop_server(settings)
    assert not stop_server(settings)
    assert leftovers(state) == []


def _start_and_stay(folder: Path) -> bool:
    with ensure_server(settings_at(folder)) as handle:
        return query(handle.base_url, "select 1") == 1


def test_several_processes_start_it_at_once(state: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_start_and_stay, [state] * 3) == [True] * 3
    assert leftovers(state) == []


STARTER = """
import sys
from orchestration.local.database import ensure_server
from orchestration.settings import load_settings
handle = ensure_server(load_settings({"BALLAST_STATE": sys.argv[1]}))
print("ready", flush=True)
sys.stdin.read()
"""


def test_server_survives_a_killed_starter(state: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
        starter.kill()
    with ensure_server(settings_at(state)) as handle:
        assert not handle.started_here
        assert query(handle.base_url, "select 1") == 1
    assert leftovers(state) == []


def test_everything_killed_heals(state: Path) -> None:
    settings = settings_at(state)
    cluster = Cluster(state / "postgres")
    handle = ensure_server(settings)
    query(handle.base_url, "select 1")
    with create_engine(handle.base_url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        connection.execute(text("create table kept as select 42 as answer"))
    pid = embedded_postgres.server_pid(cluster)
    assert pid is not None
    family = [psutil.Process(pid), *psutil.Process(pid).children()]
    for process in family:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)
    assert (cluster.data / "postmaster.pid").exists()
    assert not server_running(settings)
    healed = ensure_server(settings)
    assert healed.started_here
    assert query(healed.base_url, "select answer from kept") == 42
    handle.close()
    healed.close()
    assert leftovers(state) == []


def test_a_reused_pid_is_not_a_server(state: Path) -> None:
    settings = settings_at(state)
    ensure_server(settings).close()
    pid_file = state / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    assert not server_running(settings)
    with ensure_server(settings) as handle:
        assert handle.started_here


def test_interrupted_initialisation_is_started_over(state: Path) -> None:
    half = state / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n", encoding="ascii")
    with ensure_server(settings_at(state)) as handle:
        assert query(handle.base_url, "select 1") == 1


def test_long_path_gets_a_short_socket(state: Path) -> None:
    deep = state / ("a" * 60) / ("b" * 60)
    with ensure_server(settings_at(deep)) as handle:
        assert query(handle.base_url, "select 1") == 1
        socket_dir = Cluster(deep / "postgres").socket_dir
        assert not socket_dir.is_relative_to(deep)
    assert not socket_dir.exists()


def test_state_folder_that_cannot_be_used_is_one_line(state: Path) -> None:
    (state / "file").write_text("not a folder", encoding="ascii")
    with pytest.raises(StateFolderError, match="BALLAST_STATE") as caught:
        ensure_server(settings_at(state / "file" / "below"))
    assert "\n" not in str(caught.value)


def test_outside_server_away_is_one_line(state: Path) -> None:
    settings = settings_at(state, DATABASE_URL="postgresql://me:hunter2@127.0.0.1:9/ballast")
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1") as caught:
        ensure_server(settings)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not stop_server(settings)


@pytest.mark.parametrize(
    ("url", "names"),
    [
        (None, ("ballast_simulated", "dagster_simulated", "mlflow_simulated")),
        ("postgresql://u@h/ballast", ("ballast_simulated", "dagster_simulated", "mlflow_simulated")),
        ("postgresql://u@h", ("ballast_simulated", "dagster_simulated", "mlflow_simulated")),
        ("postgresql://u@h/team", ("team_simulated", "team_dagster_simulated", "team_mlflow_simulated")),
    ],
)
def test_names_of_databases(tmp_path: Path, url: str | None, names: tuple[str, ...]) -> None:
    databases = workspace_databases(settings_at(tmp_path, **({} if url is None else {"DATABASE_URL": url})))
    assert tuple(database_name(u) for u in (databases.ballast, databases.dagster, databases.mlflow)) == names


def test_outside_server_works_the_same(server_url: str, state: Path) -> None:
    name = f"out{os.getpid()}"
    settings = settings_at(state, DATABASE_URL=server_url.replace("/postgres?", f"/{name}?"))
    with ensure_server(settings) as handle:
        assert not handle.embedded
        databases = workspace_databases(settings, handle.base_url)
        assert create_databases(databases) == (
            f"{name}_simulated",
            f"{name}_dagster_simulated",
            f"{name}_mlflow_simulated",
        )
        assert query(databases.mlflow, "select 1") == 1
    with create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        for url in (databases.ballast, databases.dagster, databases.mlflow):
            connection.execute(text(f'drop database "{database_name(url)}" with (force)'))
