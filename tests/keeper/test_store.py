"""What the store guarantees by itself: legal moves, one writer, one acting decision a score, an unbroken log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, InternalError

from keeper.event_log import BrokenEventLog
from keeper.intent import Attempt, IllegalTransition, Intent, IntentState
from keeper.limits import ControlMode
from keeper.store import DecisionRow, KeeperStore, NewIntent, StaleIntent
from models.contracts.vault import ActionHistory

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S = IntentState


@pytest.fixture
def store(engine: Engine) -> KeeperStore:
    return KeeperStore(engine)


def decision(as_of: datetime = NOW, verdict: str = "rebalance", turnover: str = "0.25") -> DecisionRow:
    plan = {"turnover": turnover} if verdict == "rebalance" else None
    return DecisionRow("v", "p", as_of, verdict, ("why",), {"a": 1}, plan, "simulated", "devnet", as_of, None)


def an_intent(store: KeeperStore, as_of: datetime = NOW, account: str = "G") -> Intent:
    stored = store.record(decision(as_of), NewIntent(account, "increase", as_of + timedelta(hours=1)))
    assert stored is not None
    assert stored[1] is not None
    return stored[1]


def attempt(intent: Intent, n: int = 1, state: str = "signing") -> Attempt:
    return Attempt(intent.id, n, 7, "x", f"{intent.id.hex}{n:032x}", None, 1, 1, 1, 1, 1, 1, None, None, state, None)


def walk(store: KeeperStore, intent: Intent, *states: IntentState) -> Intent:
    for state in states:
        intent = store.move(intent, state, {}, prepared={"p": 1}, attempt=attempt(intent))
    return intent


def test_one_acting_decision_a_score_and_any_number_of_others(store: KeeperStore) -> None:
    assert an_intent(store).state is S.PLANNED
    assert store.record(decision(), NewIntent("G", "increase", NOW)) is None
    for _ in range(2):
        assert store.record(decision(verdict="hold")) is not None
    assert [row["verdict"] for row in store.latest("v")] == ["hold", "hold", "rebalance"]


def test_two_writers_of_one_intent(store: KeeperStore) -> None:
    intent = an_intent(store)
    store.move(intent, S.SIMULATED, {}, prepared={"x": 1})
    with pytest.raises(StaleIntent):
        store.move(intent, S.CANCELLED, {})
    with pytest.raises(IllegalTransition):
        store.move(store.intent(intent.id), S.CONFIRMED, {})
    assert store.intent(intent.id).state is S.SIMULATED
    assert store.verify_events() == 2


def test_the_database_itself_allows_one_undecided_intent_an_account(store: KeeperStore) -> None:
    walk(store, an_intent(store), S.SIMULATED)
    second = an_intent(store, NOW + timedelta(hours=1))
    with pytest.raises(IntegrityError, match="one_undecided_intent_per_account"):
        store.move(second, S.SIMULATED, {})
    walk(store, an_intent(store, NOW + timedelta(hours=2), "H"), S.SIMULATED)


def test_an_attempt_keeps_what_it_was_and_gains_what_it_became(store: KeeperStore) -> None:
    intent = walk(store, an_intent(store), S.SIMULATED, S.SIGNING)
    before = store.attempts(intent.id)[0]
    changed = replace(before, signed_xdr="s", state="signed", sequence=99, unsigned_xdr="other")
    intent = store.move(intent, S.SIGNED, {}, attempt=changed)
    after = store.attempts(intent.id)[0]
    assert after == replace(before, signed_xdr="s", state="signed")
    assert store.signed_with_sequence("G", 7) == [after]
    assert store.signed_with_sequence("H", 7) == []
    assert intent.attempts == 1


def test_history_counts_what_moved_or_may_have(store: KeeperStore) -> None:
    def end(hours: int, *states: IntentState) -> None:
        walk(store, an_intent(store, NOW + timedelta(hours=hours), f"G{hours}"), *states)

    signed = (S.SIMULATED, S.SIGNING, S.SIGNED)
    end(0, *signed, S.CONFIRMED)
    end(10, *signed, S.SUBMITTED)
    end(11, *signed, S.FAILED)
    end(12, S.REJECTED)
    end(13, *signed, S.UNKNOWN)
    assert store.history("v", NOW + timedelta(hours=20)) == ActionHistory(NOW + timedelta(hours=13), Decimal("0.75"))
    assert store.history("v", NOW + timedelta(hours=24)).turnover_day == Decimal("0.50")
    assert store.history("other", NOW) == ActionHistory(None, Decimal(0))


def test_the_strictest_switch_rules_and_the_newest_of_each_scope(store: KeeperStore) -> None:
    assert store.control("v").mode is ControlMode.RUN
    store.set_control("global", ControlMode.REDUCE_ONLY, "careful", "ops")
    store.set_control("v", ControlMode.HALT, "drill", "ops")
    assert (store.control("v").mode, store.control("v").reason) == (ControlMode.HALT, "drill")
    assert store.control("w").mode is ControlMode.REDUCE_ONLY
    store.set_control("v", ControlMode.RUN, "over", "ops")
    assert store.control("v").mode is ControlMode.REDUCE_ONLY


def test_the_account_lock_is_exclusive_and_ends_with_its_session(store: KeeperStore) -> None:
    with store.lock("G") as first, store.lock("G") as second, store.lock("H") as other:
        assert (first, second, other) == (True, False, True)
    with store.lock("G") as again:
        assert again


def test_the_log_cannot_be_changed_and_shows_it_if_it_was(store: KeeperStore, engine: Engine) -> None:
    intent = an_intent(store)
    store.note(intent, "look", {"number": 1, "text": "ä", "ratio": 0.1})
    assert store.verify_events() == 2
    with engine.connect() as connection, pytest.raises(InternalError, match="append-only"):
        connection.execute(text("update keeper.events set kind = 'x'"))
    with engine.begin() as connection:
        connection.execute(text("alter table keeper.events disable trigger append_only"))
        connection.execute(text("""update keeper.events set body = '{"number": 2}' where kind = 'look'"""))
    with pytest.raises(BrokenEventLog, match="seq 2"):
        store.verify_events()


def test_nothing_is_kept_of_a_transaction_that_fails(store: KeeperStore) -> None:
    intent = an_intent(store)
    broken = replace(attempt(intent), intent_id=UUID(int=0))
    with pytest.raises(IntegrityError):
        store.move(intent, S.SIMULATED, {}, attempt=broken)
    assert store.intent(intent.id) == intent
    assert store.verify_events() == 1
