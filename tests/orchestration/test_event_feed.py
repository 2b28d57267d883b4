"""Events as read from real tables: in order, once each, and none is lost to a transaction that commits late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from models.events.feed import Feed, document
from models.events.position import START, Position

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SCORE = text(
    "insert into risk.scores (subject, subject_kind, horizon_days, as_of, issued_at, valid_until, status, reasons, "
    "score, model_name, model_version, data_mode, share_imputed, share_stale, degraded, drivers) values "
    "(:subject, 'series', 1, :at, :at, :at, 'ok', '{}', :score, 'm', '1', 'simulated', 0, 0, false, '[]')"
)
_DECISION = text(
    "insert into keeper.decisions (id, vault_id, policy_version, verdict, reasons, inputs, data_mode, phase, "
    "market_time) values (gen_random_uuid(), 'mixed', 'p', :verdict, '{}', '{}', 'simulated', 'devnet', :at)"
)
_ALERT = text(
    "insert into ops.alert_events (dedup_key, name, scope, event, episode, n, count, severity, summary, facts, "
    "evidence, runbook, since, at, data_mode) values ('run_failed:training', 'run_failed', 'training', :event, 1, :n, "
    "1, 'warning', 'job training failed', '{}', '', 'docs/runbook.md#run_failed', :at, clock_timestamp(), 'simulated')"
)


def score(connection: Connection, value: float, subject: str = "BTC") -> None:
    at = NOW.replace(second=int(value) % 60, microsecond=int(value))
    connection.execute(_SCORE, {"subject": subject, "score": value, "at": at})


def feed_of(engine: Engine) -> Feed:
    def ask(statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), dict(parameters)).mappings()]

    return Feed(ask)


def test_the_three_tables_are_told_in_the_order_of_their_storing(engine: Engine) -> None:
    with engine.connect() as connection:
        for act in (
            lambda: score(connection, 60),
            lambda: connection.execute(_DECISION, {"verdict": "hold", "at": NOW}),
            lambda: connection.execute(_ALERT, {"event": "raised", "n": 0, "at": NOW}),
            lambda: score(connection, 61),
            lambda: connection.execute(_DECISION, {"verdict": "rebalance", "at": NOW}),
            lambda: connection.execute(_ALERT, {"event": "cleared", "n": 1, "at": NOW}),
        ):
            act()
            connection.commit()
    feed = feed_of(engine)
    found = feed.after(START, 10)
    assert [(event.key, str(event.position), event.series) for event in found] == [
        ("score-1", "1-0-0", "BTC"), ("decision-1", "1-1-0", "vault:mixed"), ("alert-1", "1-1-1", "training"),
        ("score-2", "2-1-1", "BTC"), ("decision-2", "2-2-1", "vault:mixed"), ("alert-2", "2-2-2", "training"),
    ]  # fmt: skip
    assert [dict(event.changed) for event in found] == [
        {"score": (None, 60), "status": (None, "ok"), "model_version": (None, "1")},
        {"verdict": (None, "hold")},
        {"event": (None, "raised"), "severity": (None, "warning")},
        {"score": (60, 61)},
        {"verdict": ("hold", "rebalance")},
        {"event": ("raised", "cleared")},
    ]
    assert [event.key for event in feed.after(Position(1, 1, 1), 10)] == ["score-2", "decision-2", "alert-2"]
    assert [event.key for event in feed.after(START, 1)] == ["score-1", "decision-1", "alert-1"]
    assert (feed.back(0), feed.back(1), feed.back(5)) == (Position(2, 2, 2), Position(1, 1, 1), START)


def test_a_told_event_says_what_changed_and_where_the_rest_is(engine: Engine) -> None:
    with engine.begin() as connection:
        score(connection, 60, "USDNGN:official")
        connection.execute(_DECISION, {"verdict": "hold", "at": NOW})
    told, decided = (document(event) for event in feed_of(engine).after(START, 10))
    assert {name: told[name] for name in ("id", "type", "series", "as_of", "score", "link")} == {
        "id": "score-1", "type": "score", "series": "USDNGN:official", "as_of": "2026-01-01T00:00:00.00006+00:00",
        "score": 60, "link": "/v1/risk/current?subject=USDNGN:official&horizon_days=1",
    }  # fmt: skip
    assert told["changed"]["score"] == {"from": None, "to": 60}
    assert decided["link"] == f"/v1/decisions/{decided['decision_id']}"


def test_a_row_that_commits_late_is_not_overtaken(engine: Engine) -> None:
    feed = feed_of(engine)
    with engine.connect() as slow, engine.connect() as quick:
        score(slow, 60)
        score(quick, 61)
        quick.commit()
        assert feed.after(START, 10) == [], "the row before it is still under way"
        assert feed.back(0) == START
        slow.commit()
    assert [event.data["score"] for event in feed.after(START, 10)] == [60, 61]


def test_a_row_that_was_given_up_is_not_waited_for(engine: Engine) -> None:
    with engine.connect() as slow, engine.connect() as quick:
        score(slow, 60)
        score(quick, 61)
        quick.commit()
        slow.rollback()
    assert [event.key for event in feed_of(engine).after(START, 10)] == ["score-2"]
