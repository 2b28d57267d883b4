"""Who passes, for how long, how often, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from models.access.keys import Scope, id_of
from orchestration.access import api_keys
from serving.access.gate import CHECKED_FOR_S, Gate
from serving.app import create_app
from tests.serving.access.conftest import Keys, bearer, settings_of

READ = "/v1/risk/scenarios"  # needs no data
RUN = "/v1/backtest/run"


class Clock:
    """Both clocks of a gate, moved by hand."""

    def __init__(self) -> None:
        self.s = 0.0
        self.began = datetime.now(UTC)

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.s)


@contextmanager
def serve(keys: Keys, **access: Any) -> Iterator[tuple[TestClient, Clock]]:
    clock, settings = Clock(), settings_of(keys.url, **access)
    app = create_app(settings)
    gate: Gate = app.state.gate
    gate._clock, gate._now = lambda: clock.s, clock.now
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, clock


def asked(client: TestClient, key: str, path: str = READ) -> int:
    return client.get(path, headers=bearer(key)).status_code


def test_an_expiry_is_met_to_the_second_and_a_revocation_within_the_time_that_is_promised(keys: Keys) -> None:
    expiring, revoked = keys.make(Scope.READ, days=60 / 86_400), keys.make(Scope.READ)
    with serve(keys) as (client, clock):
        clock.began = keys.now
        assert [asked(client, key) for key in (expiring, revoked)] == [200, 200]
        clock.s = 58
        assert asked(client, expiring) == 200
        clock.s = 60
        assert asked(client, expiring) == 401, "also while it is remembered"
        assert asked(client, revoked) == 200
        keys.revoke(revoked)
        clock.began = datetime.now(UTC)
        clock.s += CHECKED_FOR_S
        assert asked(client, revoked) == 401


def test_both_keys_open_until_the_overlap_is_over(keys: Keys) -> None:
    old, new = keys.make(Scope.READ, per_minute=77), keys.make(Scope.OPERATE).replace("ballast_0", "ballast_f")
    hour = timedelta(hours=1)
    api_keys.rotate(keys.engine, id_of(old) or "", 30, hour, new, "test", keys.now)
    with serve(keys) as (client, clock):
        clock.began = keys.now
        assert [asked(client, key) for key in (old, new)] == [200, 200]
        told = client.get(READ, headers=bearer(new)).headers
        assert told["RateLimit-Policy"] == '"minute";q=77;w=60', "the bound goes over to the new one"
        clock.s = hour.total_seconds()
        assert [asked(client, key) for key in (old, new)] == [401, 200]


def test_the_last_use_is_known_to_the_minute(keys: Keys) -> None:
    key, never = keys.make(Scope.READ), keys.make(Scope.READ)
    with serve(keys) as (client, clock):
        seen = []
        for clock.s in (0, 30, 70):
            assert asked(client, key) == 200
            assert asked(client, never[:-1] + "x") == 401
            (found,) = keys.rows(f"select last_used_at from ops.api_key_uses where key_id = '{id_of(key)}'")
            seen.append((found[0] - clock.began).total_seconds())
    assert seen == [0, 0, 70]
    assert keys.rows(f"select * from ops.api_key_uses where key_id = '{id_of(never)}'") == []


def test_a_key_is_looked_up_once_in_a_while(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.make(Scope.READ)
    with serve(keys) as (client, clock):
        ledger = client.app.state.gate._ledger  # type: ignore[attr-defined]
        found, looked_up = ledger.find, []
        monkeypatch.setattr(ledger, "find", lambda key_id: looked_up.append(clock.s) or found(key_id))
        for clock.s in (0, 1, 4.9, 5.1, 6):
            assert asked(client, key) == 200
    assert looked_up == [0, 5.1]


def test_public_read_opens_reading_to_everybody_and_nothing_else(keys: Keys) -> None:
    simulate = keys.make(Scope.SIMULATE)
    with serve(keys, public=frozenset({Scope.READ})) as (client, _):
        assert client.get(READ).status_code == 200
        assert asked(client, simulate) == 200, "who has a key may do what everybody may"
        assert asked(client, simulate[:-1] + "x") == 401, "a wrong key is never nobody"
        assert client.post(RUN, json={}).status_code == 401
        assert client.post(RUN, json={}, headers=bearer(simulate)).status_code == 503  # no market yet


def test_addresses_and_keys_have_bounds_of_their_own(keys: Keys) -> None:
    key, other, free = (keys.make(Scope.READ), keys.make(Scope.READ, per_minute=1), keys.make(Scope.READ, per_minute=0))
    with serve(keys, public=frozenset({Scope.READ}), public_per_minute=6, key_per_minute=2) as (client, clock):
        assert [asked(client, each) for each in (key, other, free)] == [200, 200, 200]  # looked up: three of the six
        assert [client.get(READ).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = client.get(READ)
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert (refused.json()["code"], refused.json()["most"]) == ("too_many_requests", 6)
        assert refused.headers["Retry-After"] == "10"
        assert refused.headers["RateLimit"] == '"minute";r=0;t=10'
        assert [asked(client, key) for _ in range(2)] == [200, 429], "what is full for an address is not for its keys"
        assert asked(client, other) == 429
        assert {asked(client, free) for _ in range(10)} == {200}
        assert "RateLimit" not in client.get(READ, headers=bearer(free)).headers
        assert client.get("/live").status_code == 200
        clock.s = 10
        assert [client.get(READ).status_code for _ in range(2)] == [200, 429]


def test_who_guesses_is_stopped_before_the_database_is_asked(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    good = keys.make(Scope.READ)
    with serve(keys, public_per_minute=3) as (client, clock):
        assert asked(client, good) == 200
        ledger, looked_up = client.app.state.gate._ledger, []  # type: ignore[attr-defined]
        found = ledger.find
        monkeypatch.setattr(ledger, "find", lambda key_id: looked_up.append(key_id) or found(key_id))
        guesses = [good[:-2] + f"{n:02x}" for n in range(9) if not good.endswith(f"{n:02x}")]
        assert [asked(client, guess) for guess in guesses][:4] == [401, 401, 429, 429]
        assert len(looked_up) == 2
        clock.s = CHECKED_FOR_S + 1
        assert asked(client, good) == 200, "who was known is looked up again, whoever else asks from there"


def test_while_the_database_is_away_nobody_is_let_in(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.make(Scope.READ)

    def away(key_id: str) -> None:
        raise OperationalError("select", {}, Exception("connection refused"))

    with serve(keys) as (client, _):
        monkeypatch.setattr(client.app.state.gate._ledger, "find", away)  # type: ignore[attr-defined]
        answer = client.get(READ, headers=bearer(key))
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


def test_calls_that_compute_are_written_down_before_and_after(keys: Keys) -> None:
    simulate, read = keys.make(Scope.SIMULATE), keys.make(Scope.READ)
    with serve(keys) as (client, clock):
        client.post(RUN, json={}, headers=bearer(simulate) | {"X-Request-Id": "first"})
        client.post(RUN, json={}, headers=bearer(read) | {"X-Request-Id": "second"})
        client.post(RUN, json={}, headers={"X-Request-Id": "third"})
        client.get(READ, headers=bearer(read) | {"X-Request-Id": "fourth"})
        found = keys.rows(
            "select request_id, event, caller, scope, method, path, status, at from ops.api_calls "
            "where request_id in ('first', 'second', 'third', 'fourth') order by id"
        )
        at = clock.now()
    assert found == [
        ("first", "asked", f"key:{id_of(simulate)}", "simulate", "POST", RUN, None, at),
        ("first", "answered", f"key:{id_of(simulate)}", "simulate", "POST", RUN, 503, at),
        ("second", "refused", f"key:{id_of(read)}", "simulate", "POST", RUN, 403, at),
    ]


def test_what_cannot_be_written_down_is_not_done(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.make(Scope.SIMULATE)

    def full(*row: Any) -> None:
        raise OperationalError("insert", {}, Exception("disk full"))

    with serve(keys) as (client, _):
        client.app.state.desk = None  # type: ignore[attr-defined]
        monkeypatch.setattr(client.app.state.gate._ledger, "write", full)  # type: ignore[attr-defined]
        answer = client.post(RUN, json={}, headers=bearer(key))
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable"), "the desk was not reached"


def test_a_call_that_breaks_is_answered_in_the_log_too(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.make(Scope.SIMULATE)
    with serve(keys) as (client, _):
        monkeypatch.setattr(client.app.state.store, "market", lambda: {}["nothing"])  # type: ignore[attr-defined]
        answer = client.post(RUN, json={}, headers=bearer(key) | {"X-Request-Id": "broken"})
    assert answer.status_code == 500
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert keys.rows("select event, status from ops.api_calls where request_id = 'broken' order by id") == [
        ("asked", None), ("answered", 500),
    ]  # fmt: skip


def test_what_was_given_for_a_key_is_kept_from_others(keys: Keys) -> None:
    key = keys.make(Scope.READ)
    with serve(keys, public=frozenset({Scope.READ})) as (client, _):
        assert "X-API-Key" in client.get(READ, headers={"X-API-Key": key}).headers["Vary"]
        assert "public" not in client.get(READ, headers={"X-API-Key": key}).headers["Cache-Control"]
