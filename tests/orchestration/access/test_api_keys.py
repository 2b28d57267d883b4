"""Keys as rows: made, rotated, revoked, listed; and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from models.access.keys import Scope, digest_of, id_of, written
from orchestration.access.api_keys import ApiKeyError, Wanted, create, listed, revoke, rotate, state_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW, THIRD = (written(bytes([n] * 6), bytes([n] * 32)) for n in (1, 2, 3))
OLD_ID, NEW_ID, _ = IDS = tuple(id_of(key) or "" for key in (OLD, NEW, THIRD))
BOT = Wanted("bot", [Scope.SIMULATE, Scope.READ, Scope.READ], days=90, per_minute=5)


def test_only_a_digest_is_stored(engine: Engine) -> None:
    assert create(engine, BOT, OLD, "ann", NOW) == NOW + timedelta(days=90)
    (row,) = listed(engine)
    assert (row["id"], row["name"], row["scopes"], row["per_minute"], row["created_by"], row["last_used_at"]) == (
        OLD_ID, "bot", ["read", "simulate"], 5, "ann", None,
    )  # fmt: skip
    assert state_of(row, NOW) == "open"
    with engine.connect() as connection:
        found = connection.execute(text("select digest, to_jsonb(k)::text from ops.api_keys k")).one()
    assert bytes(found[0]) == digest_of(OLD)
    assert OLD.rpartition("_")[2] not in found[1]


def test_a_rotation_leaves_both_open_for_a_while(engine: Engine) -> None:
    create(engine, BOT, OLD, "ann", NOW)
    later = NOW + timedelta(days=80)
    assert rotate(engine, OLD_ID, 30, timedelta(hours=24), NEW, "ben", later) == later + timedelta(days=30)
    new, old = listed(engine)
    assert (new["id"], new["name"], new["scopes"], new["per_minute"], new["replaces"]) == (
        NEW_ID, "bot", ["read", "simulate"], 5, OLD_ID,
    )  # fmt: skip
    assert [state_of(row, later) for row in (new, old)] == ["open", "ending"]
    after = later + timedelta(hours=24)
    assert [state_of(row, after) for row in (new, old)] == ["open", "rotated"]
    with pytest.raises(ApiKeyError, match="ended already"):
        rotate(engine, OLD_ID, 30, timedelta(), THIRD, "ben", after)


def test_an_overlap_makes_no_key_live_longer(engine: Engine) -> None:
    create(engine, BOT, OLD, "ann", NOW)
    rotate(engine, OLD_ID, 30, timedelta(days=300), NEW, "ben", NOW)
    assert {row["id"]: row["ends_at"] for row in listed(engine)} == {
        OLD_ID: NOW + timedelta(days=90), NEW_ID: NOW + timedelta(days=30),
    }  # fmt: skip


def test_a_revocation_counts_at_once_and_for_good(engine: Engine) -> None:
    create(engine, BOT, OLD, "ann", NOW)
    rotate(engine, OLD_ID, 30, timedelta(hours=24), NEW, "ben", NOW)
    revoke(engine, OLD_ID, "lost", "ben", NOW)
    (row,) = [row for row in listed(engine) if row["id"] == OLD_ID]
    assert (state_of(row, NOW), row["ends_at"]) == ("revoked", NOW)
    with pytest.raises(ApiKeyError, match="revoked"):
        revoke(engine, OLD_ID, "lost", "ben", NOW)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("bot", [], 90), "scope"),
        (Wanted("bot", [Scope.READ], 0), "days"),
        (Wanted("bot", [Scope.READ], 4_000), "days"),
    ],
)
def test_what_is_no_key(engine: Engine, wanted: Wanted, said: str) -> None:
    with pytest.raises(ApiKeyError, match=said):
        create(engine, wanted, OLD, "ann", NOW)
    assert listed(engine) == []


def test_an_unknown_key_is_named(engine: Engine) -> None:
    with pytest.raises(ApiKeyError, match="ballast keys list"):
        revoke(engine, OLD_ID, "lost", "ann", NOW)


@pytest.mark.parametrize(
    ("role", "statement", "allowed"),
    [
        ("ballast_gatekeeper", "select count(*) from ops.api_keys", True),
        ("ballast_gatekeeper", "insert into ops.api_key_uses select id, now() from ops.api_keys", True),
        ("ballast_gatekeeper", "update ops.api_key_uses set last_used_at = now()", True),
        ("ballast_gatekeeper", "insert into ops.api_keys select * from ops.api_keys", False),
        ("ballast_gatekeeper", "insert into ops.api_key_ends (key_id) select id from ops.api_keys", False),
        ("ballast_gatekeeper", "update ops.api_keys set expires_at = now()", False),
        ("ballast_gatekeeper", "select count(*) from ops.api_calls", False),
        ("ballast_gatekeeper", "delete from ops.api_key_uses", False),
        ("ballast_gatekeeper", "select count(*) from ops.job_runs", False),
        ("ballast_gatekeeper", "select count(*) from risk.scores", False),
        ("ballast_reader", "select count(*) from ops.api_keys", False),
        ("ballast_reader", "select count(*) from ops.api_calls", False),
        ("ballast_writer", "select digest from ops.api_keys", False),
        ("ballast_writer", "insert into ops.api_keys select * from ops.api_keys", False),
        ("ballast_keeper", "select count(*) from ops.api_keys", False),
        ("ballast_requester", "select count(*) from ops.api_keys", False),
    ],
)
def test_who_reaches_keys(engine: Engine, role: str, statement: str, allowed: bool) -> None:
    create(engine, BOT, OLD, "ann", NOW)
    with engine.connect() as connection:
        connection.execute(text(f"set role {role}"))
        if allowed:
            connection.execute(text(statement))
            return
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))


@pytest.mark.parametrize("table", ["api_keys", "api_key_ends", "api_calls"])
def test_what_was_said_stays_said(engine: Engine, table: str) -> None:
    create(engine, BOT, OLD, "ann", NOW)
    revoke(engine, OLD_ID, "lost", "ann", NOW)
    with engine.begin() as connection:
        connection.execute(text(
            "insert into ops.api_calls (request_id, event, caller, scope, method, path, at) "
            "values ('r', 'asked', 'public', 'simulate', 'POST', '/', now())"
        ))  # fmt: skip
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(f"delete from ops.{table}"))
