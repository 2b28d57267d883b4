"""What a restored memory and the chain may say of one account, and what follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from keeper.gateway import Retryable
from keeper.limits import ControlMode
from keeper.restored import Comparison, compare, mark_restored, note_compared, to_compare
from keeper.store import KeeperStore
from models.contracts.vault import Verdict
from tests.keeper.world import MARKET_NOW, a_row, build


@pytest.mark.parametrize(
    ("remembered", "chain", "lost", "problem"),
    [
        (70, 70, 0, None),
        (70, 71, 1, "1 transactions of G, numbers 71 to 71, are on the chain"),
        (70, 75, 5, "5 transactions of G, numbers 71 to 75, are on the chain"),
        (70, 69, None, "the chain is at number 69 of G, below 70: another chain"),
        (None, 70, None, "never saw G"),
        (70, None, None, "the chain does not tell"),
        (None, None, None, "the chain does not tell"),
    ],
)
def test_only_equal_numbers_let_the_keeper_go_on(
    remembered: int | None, chain: int | None, lost: int | None, problem: str | None
) -> None:
    found = Comparison("G", remembered, chain)
    assert found.lost == lost
    assert (found.problem is None) is (problem is None)
    assert problem is None or problem in str(found.problem)


def test_memory_is_what_ledgers_used_up_and_what_decisions_saw(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(engine, tmp_path)
    account, vault = world.connection.config.source_account, world.connection.config.vault
    start = world.chain.state.accounts[account].sequence
    gateway = world.connection.gateway
    assert compare(engine, gateway, account) == Comparison(account, None, start), "nothing decided yet"
    assert world.keeper().tick(a_row(vault), MARKET_NOW).verdict is Verdict.REBALANCE
    assert compare(engine, gateway, account) == Comparison(account, start + 1, start + 1), "its own transaction"
    world.chain.state.accounts[account].sequence += 2
    assert compare(engine, gateway, account).lost == 2
    monkeypatch.setattr(type(gateway), "account", lambda *_: Retryable("away"))
    assert compare(engine, gateway, account).chain is None


def test_a_restore_is_open_until_it_was_compared(engine: Engine) -> None:
    store = KeeperStore(engine)
    assert to_compare(engine) is None
    mark_restored(engine, "2026-01-01T00:00:00+00:00", "ann")
    assert store.control("any").mode is ControlMode.HALT
    assert to_compare(engine) == {"made_at": "2026-01-01T00:00:00+00:00", "by": "ann"}
    store.set_control("global", ControlMode.HALT, "something else", "keeper")
    assert to_compare(engine) is not None
    note_compared(engine, [Comparison("G", 1, 2)], "seen", "ann")
    assert to_compare(engine) is None
    mark_restored(engine, "2026-02-01T00:00:00+00:00", "ann")
    assert to_compare(engine) is not None, "each restore is compared anew"
    assert store.verify_events() == 6
