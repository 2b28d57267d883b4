"""`ballast decision`: what is shown, what is JSON, what is refused, and exit codes."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from keeper.cli import pause
from orchestration.local import cli
from orchestration.local.database import workspace_databases
from orchestration.settings import current_settings
from tests.keeper.world import MARKET_NOW, a_row, build
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture


@pytest.fixture
def engine(on_test_server: None) -> Engine:  # noqa: F811
    return create_engine(workspace_databases(current_settings()).ballast, poolclass=NullPool)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.main(["decision", *words])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_hash_leads_to_its_decision(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = build(engine, tmp_path)
    done = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert done.tx_hash is not None
    code, said = told(capsys, "show", done.tx_hash)
    assert code == 0, said
    for part in (str(done.decision_id), done.tx_hash, "rebalance (test)", "chain incomplete: target"):
        assert part in said
    code, said = told(capsys, "show", str(done.decision_id), "--json")
    assert (code, json.loads(said)["attempts"][0]["tx_hash"]) == (0, done.tx_hash)


def test_replay_agrees_until_somebody_alters_the_row(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = build(engine, tmp_path)
    done = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    code, said = told(capsys, "show", str(done.decision_id), "--replay")
    assert code == 0, said
    assert "replay decision  agrees" in said
    code, said = told(capsys, "check", "--last", "5")
    assert code == 1, "its target is in no table"
    with engine.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        connection.execute(text("update keeper.decisions set reasons = '{cooldown}'"))
    code, said = told(capsys, "show", str(done.decision_id), "--replay", "--json")
    assert code == 1
    (differing,) = [part for part in json.loads(said)["replay"] if not part["agrees"]]
    assert differing["differences"] == [{"what": "reasons", "stored": "['cooldown']", "again": "['test']"}]


def test_check_counts_the_newest_that_come_out_again(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = build(engine, tmp_path)
    pause(world.store, "drill", "test")
    for hour in range(3):
        world.keeper().tick(None, MARKET_NOW + timedelta(hours=hour))
    with engine.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        oldest = {"at": MARKET_NOW}
        connection.execute(text("update keeper.decisions set verdict = 'hold' where market_time = :at"), oldest)
    code, said = told(capsys, "check", "--last", "2")
    assert code == 0, said
    assert said.startswith("2 decisions made again: 2 complete and equal, 0 not\n")
    code, said = told(capsys, "check", "--last", "3", "--json")
    found = json.loads(said)
    assert (code, found["checked"], found["agree"]) == (1, 3, 2)
    differences = [each["what"] for part in found["wrong"][0]["replay"] for each in part["differences"]]
    assert differences == ["verdict"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "nobody"), "ID-OR-TX-HASH: no decision and no transaction is called 'nobody'"),
        (("show", "a" * 64), "ID-OR-TX-HASH"),
        (("check", "--last", "0"), "--last: a number from 1 to 10000"),
        (("check",), "no decision is stored yet"),
    ],
)
def test_what_cannot_be_shown(
    engine: Engine, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    code, said = told(capsys, *words)
    assert code == 2
    assert message in said
