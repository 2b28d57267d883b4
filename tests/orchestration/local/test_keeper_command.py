"""`ballast keeper`: the switch, the status and the end of an intent, with nothing but the database."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from keeper.intent import IntentState
from keeper.limits import ControlMode
from keeper.store import KeeperStore
from orchestration.local import cli
from orchestration.local.database import workspace_databases
from orchestration.settings import current_settings
from tests.keeper.test_store import an_intent, walk
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture

S = IntentState


@pytest.fixture
def engine(on_test_server: None) -> Engine:  # noqa: F811
    engine = create_engine(workspace_databases(current_settings()).ballast, poolclass=NullPool)
    with engine.begin() as connection:
        for vault in ("v", "w"):
            connection.execute(
                text("insert into ops.vaults (id, config, is_kept) values (:id, '{}', true)"), {"id": vault}
            )
    return engine


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.main(["keeper", *words])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_switch_stops_all_vaults_or_one(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    store = KeeperStore(engine)
    assert told(capsys, "pause", "drill", "--by", "ann") == (0, "v: halt (drill)\nw: halt (drill)\n")
    assert told(capsys, "reduce-only", "thin market", "--vault", "w")[0] == 0
    assert [store.control(vault).mode for vault in ("v", "w")] == [ControlMode.HALT, ControlMode.HALT]
    assert told(capsys, "resume", "over", "--by", "ann") == (0, "v: run (over)\nw: reduce_only (thin market)\n")
    with engine.connect() as connection:
        rows = connection.execute(text("select scope, mode, reason, set_by from keeper.control order by seq")).all()
    assert [tuple(row) for row in rows if row.set_by == "ann"] == [
        ("global", "halt", "drill", "ann"),
        ("global", "run", "over", "ann"),
    ]
    assert store.verify_events() == 3


def test_a_human_is_called_and_closes_the_intent(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    store = KeeperStore(engine)
    intent = walk(store, an_intent(store), S.SIMULATED, S.SIGNING, S.SIGNED, S.UNKNOWN, S.NEEDS_HUMAN)
    code, said = told(capsys, "status", "--vault", "v")
    assert code == 1, "a script must see that somebody is needed"
    assert f"open: intent {intent.id} needs_human" in said
    assert told(capsys, "status", "--vault", "w")[0] == 0
    code, said = told(capsys, "resolve", str(intent.id), "failed", "--evidence", "ledger 77: not there", "--by", "ann")
    assert code == 0, said
    assert store.intent(intent.id).state is S.FAILED
    assert store.intent(intent.id).reason == "resolved by ann"
    assert told(capsys, "status")[0] == 0


def test_an_altered_log_is_shouted(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "pause", "drill")
    with engine.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        connection.execute(text("update keeper.events set body = '{}'"))
    code, said = told(capsys, "status")
    assert code == 1
    assert "keeper.events seq 1: hash does not follow" in said


NOBODY = str(UUID(int=5))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pause", "drill", "--vault", "x"], "--vault: there is no vault x: one of v, w"),
        (["pause", " "], "REASON: say why in a word or more"),
        (["status", "--limit", "0"], "--limit: a number from 1 on"),
        (["resolve", NOBODY, "failed", "--evidence", "e"], f"INTENT: there is none with the id {NOBODY}"),
        (["once", "--vault", "x"], "--vault: there is no vault x"),
    ],
)
def test_what_is_refused_is_one_line(
    engine: Engine, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, found = told(capsys, *words)
    assert code == 2
    assert said in found
    assert KeeperStore(engine).control("v").mode is ControlMode.RUN


def test_an_intent_that_waits_for_nobody_is_not_closed_by_hand(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    intent = an_intent(KeeperStore(engine))
    code, said = told(capsys, "resolve", str(intent.id), "confirmed", "--evidence", "e")
    assert code == 2
    assert "is planned: only one that needs a human is resolved by hand" in said
    assert KeeperStore(engine).intent(intent.id).state is S.PLANNED
