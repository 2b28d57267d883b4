"""Which intents wait for a person, as read from the tables: by phase of their decision, state and what was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from keeper.alerts.alert import AlertName
from keeper.cli import approve, decline
from keeper.intent import Intent, IntentState
from keeper.keeper import decision_row
from keeper.limits import Phase
from keeper.store import KeeperStore, NewIntent
from models.contracts.vault import Decision, Verdict
from orchestration.alerts.checking import judge
from orchestration.alerts.config import LOG_ALONE
from orchestration.alerts.ledger import standing
from orchestration.resources.workspace import Workspace
from tests.keeper.world import a_row, a_vault
from tests.orchestration.conftest import NOW


def an_intent(workspace: Workspace, phase: Phase) -> tuple[KeeperStore, Intent]:
    """A simulated intent of a kept vault, decided in a phase, with an hour left."""
    vault, store = a_vault("mixed"), KeeperStore(workspace.warehouse.engine)
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.vaults (id, is_kept, config) values ('mixed', true, "
                """'{"network": "devnet", "limits": {"max_fee_stroops": 1000}}')"""
            )
        )
    decision = Decision(Verdict.REBALANCE, (), {}, Decimal(0), Decimal(0))
    row = decision_row(vault.id, phase, None, a_row(vault, as_of=NOW), NOW, decision, {}, {})
    stored = store.record(row, NewIntent("G", "reduce", NOW + timedelta(hours=1)))
    assert stored is not None
    assert stored[1] is not None
    return store, store.move(stored[1], IntentState.SIMULATED, {}, prepared={})


def waiting(workspace: Workspace) -> list[str]:
    judge(workspace, LOG_ALONE, datetime.now(UTC))
    rows = standing(workspace.warehouse)
    return [row["summary"] for row in rows if row["name"] == AlertName.AWAITING_APPROVAL]


@pytest.mark.parametrize("word", ["approve", "decline"])
def test_it_is_over_with_a_word(workspace: Workspace, word: str) -> None:
    store, intent = an_intent(workspace, Phase.APPROVE)
    assert waiting(workspace) == [f"intent {intent.id} of vault mixed (reduce) waits for somebody's approval"]
    if word == "approve":
        approve(store, intent.id, "ada")
    else:
        decline(store, intent.id, "no", "ada")
    assert waiting(workspace) == []


def test_other_phases_wait_for_nobody(workspace: Workspace) -> None:
    an_intent(workspace, Phase.DEVNET)
    assert waiting(workspace) == []
