"""`ballast simulate`: the words of `ballast backtest`, so only what is a simulation's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine

from models.stress.request import REQUEST
from models.stress.scenario_library import SCENARIOS
from orchestration.local import cli
from tests.orchestration.local.test_backtest_command import market, told  # noqa: F401 - a fixture
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture

RUN = ["simulate", "run", "--vault-id", "mixed", "--paths", "200", "--days", "10"]


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, said = told(capsys, *RUN, *arguments)
    assert code == 0, said
    return re.findall(r"simulation-[0-9a-f]{16}", said)[0]


def test_a_run_is_kept_listed_shown_and_equal_to_its_repetition(
    market: Engine,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    name = made(capsys, "--shocks", '{"gap": {"rate_per_year": 50}}', "--scenario", "terra-2022-05")
    assert name in told(capsys, "simulate", "list")[1]
    assert "No backtest yet" in told(capsys, "backtest", "list")[1]
    code, said = told(capsys, "simulate", "show", name, "--out", str(tmp_path / "out"))
    assert code == 0
    assert "policy less mix" in said
    assert "What shocks change of the policy" in said
    bands = pd.read_parquet(tmp_path / "out" / "curve.parquet")
    assert set(bands["strategy"]) == {"hold", "policy", "mix"}
    assert (bands["p1"] <= bands["p99"]).all()
    document = json.loads((tmp_path / "out" / "run.json").read_text())
    assert document["inputs"]["shocks"]["gap"]["rate_per_year"] == 50.0
    assert not (tmp_path / "out" / "trades.parquet").exists()
    assert told(capsys, "simulate", "rerun", name) == (0, f"{name}: equal, summary and hashes.\n")


def test_runs_side_by_side(market: Engine, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    one, other = made(capsys), made(capsys, "--seed", "1")
    code, said = told(capsys, "simulate", "compare", one, other)
    assert code == 0
    assert re.search(r"seed +0 +1", said)
    code, said = told(capsys, "backtest", "show", one)
    assert (code, "there is no backtest" in said) == (cli.EXPECTED_FAILURE, True)


def test_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = told(capsys, "simulate", "scenarios")
    assert code == 0
    assert all(name in said for name in SCENARIOS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--shocks", "all"], '--shocks: shocks: must be "usual" or an object'),
        (["--shocks", "{"], "--shocks: '{' is no JSON"),
        (["--shocks", '{"quake": {}}'], "--shocks: shocks: there is no shock 'quake'"),
        (["--paths", "x"], "--paths: must be a whole number from 100"),
        (["--start", "2025-01-01"], "--start: start: 302 days with a price of every leg"),
    ],
)
def test_what_is_refused_is_one_line(
    market: Engine,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    code, said = told(capsys, *RUN, *arguments)
    assert code == cli.EXPECTED_FAILURE
    assert expected in said
    assert len(said.strip().splitlines()) == 1


def test_every_field_of_the_request_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["simulate", "run", "--help"])
    said = capsys.readouterr().out
    for name in REQUEST:
        assert f"--{name.replace('_', '-')}" in said
