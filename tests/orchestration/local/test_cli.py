"""The command line: every known failure is one clear line and exit code 2; defects leave a log; results are exact."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from orchestration.local import cli
from orchestration.local.forecasts_export import HEADER, write_forecasts
from orchestration.local.locks import hold
from orchestration.local.processes import STACK_MARKER
from orchestration.resources.database_url import with_database
from orchestration.settings import current_settings

Put = Callable[..., None]


@pytest.fixture
def on_test_server(environment: Put, server_url: str, template_database: str) -> Iterator[None]:
    """DATABASE_URL names the test server; the market's own database is there, migrated and empty."""
    prefix = f"cli_{uuid.uuid4().hex[:8]}"
    environment(DATABASE_URL=with_database(server_url, prefix))
    admin = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {prefix}_simulated template {template_database} strategy file_copy"))
    yield
    with admin.connect() as connection:
        connection.execute(text(f"drop database {prefix}_simulated with (force)"))


WORDS = ("run", "up", "down", "status", "doctor", "migrate", "gaps", "leaks", "tune", "clean-state", "dbt-parse")


@pytest.mark.parametrize("word", WORDS)
def test_every_command_explains_itself(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([word, "--help"])
    assert ended.value.code == 0
    assert "--market" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "arguments", "told"),
    [
        ({"BALLAST_MARKET": "paper"}, ["doctor"], "BALLAST_MARKET: 'paper' is not simulated"),
        ({}, ["gaps", "--market", "replay:/no/such"], "BALLAST_MARKET: replay folder /no/such does not exist"),
        ({"BALLAST_SEED": "x"}, ["run"], "BALLAST_SEED: 'x' is not a number"),
        ({"BALLAST_UNIVERSE": "/no/such.yaml"}, ["universe", "check"], "/no/such.yaml: cannot be read"),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/x"}, ["gaps"], "does not answer"),
        ({}, ["gaps"], "market simulated has no data yet: run `make run MARKET=simulated` first"),
        ({}, ["quality", "report"], "has no data yet"),
        ({}, ["leaks"], "has no data yet"),
        ({}, ["leaks", "--seed", "-1"], "--seed: a number from 0 on"),
        ({}, ["tune", "--panel", "candles", "--horizon", "5"], "--horizon: candles are forecast 1 and 7 days ahead"),
        ({}, ["tune", "--panel", "candles", "--horizon", "1", "--trials", "0"], "the budget must be positive"),
        ({}, ["tune", "--panel", "candles", "--horizon", "1"], "has no data yet"),
        ({}, ["drift", "curve", "--series", "BTC", "--out", "f"], "has no data yet"),
        ({}, ["drift", "curve", "--series", "BTC", "--out", "f", "--plants", "0"], "--plants: a number from 1 on"),
        ({}, ["forecasts", "export", "--out", "f.csv"], "has no data yet"),
    ],
)
def test_known_failures_are_one_line(
    environment: Put, capsys: pytest.CaptureFixture[str], variables: dict[str, str], arguments: list[str], told: str
) -> None:
    environment(**variables)
    assert cli.main(arguments) == cli.EXPECTED_FAILURE
    captured = capsys.readouterr()
    assert told in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert "Traceback" not in captured.err
    assert "hidden" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [[], ["fly"], ["models"], ["forecasts", "export"]])
def test_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


def test_defect_leaves_a_log_and_one_line(environment: Put, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = current_settings().workspace
    workspace.mkdir(parents=True)
    (workspace / "status.json").write_text("{")  # no command of ours writes half a file
    with hold(workspace / "stack.lock", "held"):
        assert cli.main(["status"]) == cli.DEFECT
    told = capsys.readouterr().err
    assert told.startswith("ballast: unexpected JSONDecodeError: ")
    assert len(told.strip().splitlines()) == 1
    logs = list((workspace / "logs").glob("error-*.log"))
    assert "Traceback" in logs[0].read_text()
    assert str(logs[0]) in told


def test_state_folder_that_is_a_file(environment: Put, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    assert cli.main(["run"]) == cli.EXPECTED_FAILURE
    assert "cannot be written" in capsys.readouterr().err


def test_taken_port_stops_up_before_any_work(
    environment: Put, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        environment(BALLAST_API_PORT=str(port))
        assert cli.main(["up"]) == cli.EXPECTED_FAILURE
    told = capsys.readouterr().err
    assert f"port {port} for API is taken" in told
    assert "BALLAST_API_PORT" in told
    assert not (tmp_path / "state" / "postgres").exists()


@pytest.mark.parametrize("word", ["run", "up", "down"])
def test_a_market_at_work_is_left_alone(environment: Put, capsys: pytest.CaptureFixture[str], word: str) -> None:
    """Neither played twice at once nor robbed of its devnet."""
    settings = current_settings()
    mark = {**os.environ, STACK_MARKER: str(settings.workspace)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=mark) as devnet:
        with hold(settings.workspace / "run.lock", "held"):
            assert cli.main([word]) == cli.EXPECTED_FAILURE
        assert devnet.poll() is None
        devnet.kill()
    told = capsys.readouterr().err
    assert "`make run` or `make up` of this market is at work: wait for it" in told
    assert len(told.strip().splitlines()) == 1


def test_down_when_nothing_is_up(environment: Put, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["down"]) == 0
    assert capsys.readouterr().out == "simulated was not up\n"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("arguments", [["status"], ["gaps"], ["gaps", "--all"], ["quality", "report", "--all"],
                                       ["models", "list"], ["models", "ledger"],
                                       ["models", "ledger", "--at", "2026-01-01"], ["keeper", "status"],
                                       ["leaks"]])  # fmt: skip
def test_reading_commands_on_an_empty_warehouse(
    on_test_server: None, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize(("answer", "deleted"), [("y", True), ("", False), ("no", False)])
def test_clean_state_asks(
    environment: Put, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str,
    deleted: bool,
) -> None:  # fmt: skip
    (tmp_path / "state" / "simulated").mkdir(parents=True)
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda self: True))
    monkeypatch.setattr("builtins.input", lambda *_: answer)
    assert cli.main(["clean-state"]) == (0 if deleted else 1)
    assert (tmp_path / "state").exists() is not deleted


def test_clean_state_needs_a_word_where_nobody_can_be_asked(
    environment: Put, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    assert cli.main(["clean-state"]) == cli.EXPECTED_FAILURE
    assert "add --yes" in capsys.readouterr().err
    assert cli.main(["clean-state", "--yes"]) == 0
    assert not (tmp_path / "state").exists()


FORECASTS = """
insert into ml.evaluations (evaluation_id, panel, horizon_days, model, series, rows, data_hash, code_hash, data_mode)
    values ('old', 'candles', 1, 'pool', '*', 1, 'd', 'c', 'replay'),
    ('new', 'candles', 1, 'pool', '*', 1, 'd', 'c', 'replay');
insert into ml.walk_forward (evaluation_id, model, series, horizon_days, origin, issued_at, rv_forecast, p_spike)
select e, m, s, 1, '2024-01-02', '2024-01-03 00:00+00', rv, null from (values
    ('old', 'champion', 'BTC', 1e-4), ('new', 'champion', 'BTC', 0.00012345678901234567), ('new', 'har', 'BTC', 3e-4),
    ('new', 'champion', 'USDMXN:yahoo', 4e-4)) as v (e, m, s, rv)
"""


def test_export_holds_what_was_published_in_the_newest_evaluation(engine: Engine, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "F.csv"
    with engine.begin() as connection:
        connection.execute(text(FORECASTS))
        assert write_forecasts(connection, target, None) == (2, 2)
    rows = list(csv.reader(target.read_text().splitlines()))
    assert tuple(rows[0]) == HEADER
    assert rows[1] == ["BTC", "2024-01-02", "1", "0.00012345678901234567", "", "", "", "", "2024-01-03T00:00:00Z"]
    assert rows[2][0] == "USDMXN:yahoo"
    assert [path.name for path in target.parent.iterdir()] == ["F.csv"]
