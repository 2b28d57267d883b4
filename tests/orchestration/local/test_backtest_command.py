"""`ballast backtest`: the same run as over HTTP, kept, shown, compared, and computed again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from models.backtest import standard
from models.backtest.request import REQUEST
from models.runs.reading import StoredMarket
from orchestration.local import cli
from orchestration.local.database import workspace_databases
from orchestration.settings import current_settings
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture
from tests.stored_market import SMALL, write_market

QUICK = ["--placebo-shifts", "5", "--bootstrap-repetitions", "100"]
RUN = ["backtest", "run", "--vault-id", "mixed", *QUICK]


@pytest.fixture
def market(on_test_server: None) -> Engine:  # noqa: F811
    engine = create_engine(workspace_databases(current_settings()).ballast, poolclass=NullPool)
    write_market(engine)
    return engine


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, said = told(capsys, *RUN, *arguments)
    assert code == 0, said
    return re.findall(r"backtest-[0-9a-f]{16}", said)[0]


def test_the_command_line_asks_what_the_api_asks(market: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    name = made(capsys, "--limits", "dead_zone=0.1,cooldown_s=3600", "--policies", "onoff", "--slippage-bps", "30")

    def ask(sql, params):  # type: ignore[no-untyped-def]
        with market.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), params).mappings()]

    body = {**SMALL, "limits": {"dead_zone": 0.1, "cooldown_s": 3600}, "policies": ["onoff"], "slippage_bps": 30}
    assert standard.plan(body, StoredMarket(ask)).identity.id == name


def test_a_run_is_kept_listed_and_shown(market: Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = made(capsys)
    assert name in told(capsys, "backtest", "list")[1]
    assert "No backtest yet" in told(capsys, "backtest", "list", "--vault-id", "other")[1]
    assert "No backtest yet" in told(capsys, "backtest", "list", "--status", "failed")[1]
    code, said = told(capsys, "backtest", "show", name, "--out", str(tmp_path / "out"))
    assert code == 0
    assert "onoff_mix" in said
    curve = pd.read_parquet(tmp_path / "out" / "curve.parquet")
    trades = pd.read_parquet(tmp_path / "out" / "trades.parquet")
    document = json.loads((tmp_path / "out" / "run.json").read_text())
    assert document["id"] == name
    assert set(curve.columns) == {"strategy", "day", "equity", "exposure"}
    (policy,) = [each for each in document["summary"]["strategies"] if each["name"] == "onoff"]
    growth = (1 + policy["figures"]["cagr"]) ** (policy["figures"]["days"] / 365)
    assert curve.loc[curve["strategy"] == "onoff", "equity"].iloc[-1] == pytest.approx(growth)
    assert (trades["strategy"] == "onoff").sum() == policy["trades"] + policy["failed_trades"]


def test_a_repetition_is_equal_until_something_changed(market: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    name = made(capsys)
    assert told(capsys, "backtest", "rerun", name) == (0, f"{name}: equal, summary and hashes.\n")
    with market.begin() as connection:
        connection.execute(text("update ops.vaults set config = jsonb_set(config, '{policy}', '\"voltarget\"')"))
    assert told(capsys, "backtest", "rerun", name)[0] == 0, "the vault of the run is that of its inputs"
    with market.begin() as connection:
        connection.execute(text("update features.bar_returns set close = close * 1.5 where ts > '2025-01-01+00'"))
    code, said = told(capsys, "backtest", "rerun", name)
    assert code == 1
    assert f"{name}: not equal. Changed since: data; " in said
    assert "strategies.0.figures" in said


def test_runs_side_by_side(market: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = made(capsys), made(capsys, "--seed", "1")
    code, said = told(capsys, "backtest", "compare", one, other)
    assert code == 0
    assert re.search(r"seed +0 +1", said)
    assert "--" not in said


def test_what_is_left_to_the_job_can_be_cancelled(market: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    name = made(capsys, "--queue")
    assert "queued" in told(capsys, "backtest", "show", name)[1]
    code, said = told(capsys, "backtest", "rerun", name)
    assert (code, "is queued: there is nothing to compare" in said) == (cli.EXPECTED_FAILURE, True)
    assert told(capsys, "backtest", "cancel", name) == (0, f"{name}: cancelled\n")
    code, said = told(capsys, "backtest", "cancel", name)
    assert (code, "only what waits or is computed" in said) == (cli.EXPECTED_FAILURE, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([*RUN, "--start", "2025-01-01"], "--start: start: 250 usable days are needed"),
        ([*RUN, "--latency-bars", "x"], "--latency-bars: must be a whole number from 1 to 48, not 'x'"),
        ([*RUN, "--latency-bars", "99"], "--latency-bars: latency_bars: must be a whole number from 1 to 48, not 99"),
        ([*RUN, "--limits", "dead=1"], "--limits: write NAME=NUMBER with one of enter_score"),
        ([*RUN, "--policies", "best"], "--policies: policies.0: must be one of onoff, voltarget"),
        (
            ["backtest", "show", "nothing"],
            "there is no backtest 'nothing': `ballast backtest list` shows what",
        ),
        (["backtest", "compare", "a", "a"], "name two different runs or more"),
        (["backtest", "list", "--limit", "0"], "--limit: a number from 1 to 1000"),
    ],
)
def test_what_is_refused_is_one_line(
    market: Engine, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    code, said = told(capsys, *arguments)
    assert code == cli.EXPECTED_FAILURE
    assert expected in said
    assert len(said.strip().splitlines()) == 1


def test_every_field_of_the_request_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["backtest", "run", "--help"])
    said = capsys.readouterr().out
    for name in REQUEST:
        assert f"--{name.replace('_', '-')}" in said
