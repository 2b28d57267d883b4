"""The ledger in the table, and the turn that rollbacks and ticks take."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from models.contracts.tables import ML_PROMOTIONS
from models.validation.ledger import Action, Entry, champion_at
from orchestration.resources.database_errors import DatabaseError
from orchestration.resources.ledger import add_entry, ledger_turn, read_ledger
from orchestration.resources.workspace import Workspace
from tests.orchestration.conftest import NOW

HOUR = timedelta(hours=1)


def entry(version: str, hours: int, action: Action = Action.PROMOTED, name: str = "volatility_candles_1d") -> Entry:
    return Entry(
        0, action, "candles", 1, name, version, "har", None, "it's 50% better", {"gate": [{"qlike": 0.4, "p": None}]},
        "ada", NOW + hours * HOUR,
    )  # fmt: skip


def test_entries_survive_the_table(workspace: Workspace) -> None:
    with workspace.warehouse.transaction() as connection:
        written = [add_entry(connection, entry(str(n), n), "run") for n in range(3)]
        other = add_entry(connection, entry("1", 0, name="volatility_vault_1d"), None)
        assert read_ledger(connection) == [*written, other]
        assert read_ledger(connection, "volatility_vault_1d") == [other]
    assert len({each.id for each in (*written, other)}) == 4


@pytest.mark.parametrize("hours", [-1, 0, 1, 2, 3, 4, 9])
def test_sql_and_the_pure_function_agree(workspace: Workspace, hours: int) -> None:
    actions = [Action.PROMOTED, Action.HELD, Action.PROMOTED, Action.FELL_BACK, Action.ROLLED_BACK, Action.EXPIRED]
    with workspace.warehouse.transaction() as connection:
        for number, action in enumerate(actions):
            add_entry(connection, entry(str(number), 2 * (number // 2), action), "run")
        entries = read_ledger(connection)
        found = connection.execute(
            text(
                f"select model_version from {ML_PROMOTIONS} where action in ('promoted', 'rolled_back', 'fell_back') "
                "and promoted_at <= :at order by promoted_at desc, id desc limit 1"
            ),
            {"at": NOW + hours * HOUR},
        ).scalar()
    expected = champion_at(entries, "volatility_candles_1d", NOW + hours * HOUR)
    assert found == (expected.model_version if expected is not None else None)


def test_no_evidence_is_written_that_json_cannot_hold(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="JSON"), workspace.warehouse.transaction() as connection:
        add_entry(connection, Entry(**(_fields(entry("1", 0)) | {"evidence": {"qlike": float("nan")}})), "run")


def test_an_unknown_action_is_refused(workspace: Workspace) -> None:
    with pytest.raises(DatabaseError, match="action"):
        workspace.warehouse.execute(
            f"insert into {ML_PROMOTIONS} (action, panel, horizon_days, model_name, model_version, algorithm, reason, "
            "evidence, promoted_by, promoted_at) values ('crowned', 'a', 1, 'm', '1', 'har', 'r', '{}', 'me', now())"
        )


def test_one_turn_at_a_time(workspace: Workspace) -> None:
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with ledger_turn(workspace.warehouse):
            order.append("first in")
            inside.set()
            leave.wait(10)
            order.append("first out")

    def second() -> None:
        inside.wait(10)
        with ledger_turn(workspace.warehouse):
            order.append("second in")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    assert workspace.warehouse.rows("select 1 as one") == [{"one": 1}], "others are not kept waiting"
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first in", "first out", "second in"]


def _fields(each: Entry) -> dict[str, object]:
    return {name: getattr(each, name) for name in Entry.__slots__}
