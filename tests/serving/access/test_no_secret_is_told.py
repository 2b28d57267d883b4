"""Planted keys and tokens, sent wherever one can be sent: none is in an answer, a log or a traceback."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from models.access.keys import Scope
from serving.access.ledger import Ledger
from serving.app import create_app
from tests.serving.access.conftest import Keys, bearer, settings_of

TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.cGxhbnRlZA.cGxhbnRlZHNpZ25hdHVyZXRoYXRub2JvZHltYXlzZWU"
READ, RUN = "/v1/risk/current", "/v1/backtest/run"


def _ways(key: str) -> list[dict[str, Any]]:
    as_bearer, as_header = bearer(key), {"X-API-Key": key}
    return [
        {"url": READ, "headers": as_bearer},
        {"url": READ, "headers": as_header},
        {"url": READ, "headers": as_bearer | as_header},
        {"url": READ, "headers": {"Authorization": f"Basic {key}"}},
        {"url": READ, "headers": as_bearer, "params": {"subject": key}},
        {"url": READ, "params": {"api_key": key, key: "1"}},
        {"url": "/v1/decisions", "headers": as_bearer, "params": {key: "1", "cursor": key, "vault_id": key}},
        {"url": f"/v1/decisions/{key}", "headers": as_bearer},
        {"url": f"/{key}", "headers": as_bearer},
        {"url": RUN, "method": "POST", "headers": as_bearer, "json": {"vault_id": key, key: 1}},
        {"url": RUN, "method": "POST", "headers": as_bearer | {"X-Request-Id": key[-40:] + "!"}, "json": {}},
    ]


@pytest.mark.parametrize("kind", ["good", "wrong", "token"])
@pytest.mark.parametrize("fault", ["none", "database away", "defect"])
def test_no_secret_is_told(
    keys: Keys, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, kind: str, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    key = TOKEN if kind == "token" else keys.make(*Scope)
    if kind == "wrong":
        key = key[:-1] + ("0" if key[-1] != "0" else "1")
    secret = key.rpartition("." if kind == "token" else "_")[2]
    told: list[str] = []

    def broken(*given: Any) -> Any:
        if fault == "defect":
            raise ValueError("a defect")
        raise OperationalError("select 1", {}, Exception("refused"))

    if fault != "none":
        monkeypatch.setattr(Ledger, "find", broken)
    with TestClient(create_app(settings_of(keys.url))) as client:  # a defect reaches us, as it reaches the server's log
        for way in _ways(key):
            try:
                answer = client.request(**{"method": "GET", **way})
            except ValueError as error:
                told += traceback.format_exception(error)
                continue
            own = way["url"].replace(key, "") + str(way.get("params", "")) + str(way.get("json", ""))
            if key not in own:  # what somebody asks about may be named to them; what they ask with is not
                told.append(answer.text)
            told += [f"{name}: {value}" for name, value in answer.headers.items()]
            assert secret not in answer.json().get("instance", "")
    stored = keys.rows("select to_jsonb(c)::text from ops.api_calls c union all select k::text from ops.api_keys k")
    # The test's own client logs the addresses that it asks for.
    told += [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    told += [str(vars(record)) for record in caplog.records if not record.name.startswith("httpx")]
    told += [row[0] for row in stored]
    assert told
    assert [text for text in told if secret in text] == []


def test_what_holds_a_key_shows_none(keys: Keys) -> None:
    key = keys.make(Scope.READ)
    app = create_app(settings_of(keys.url))
    with TestClient(app) as client:
        assert client.get("/v1/risk/scenarios", headers=bearer(key)).status_code == 200
    gate = app.state.gate
    assert gate._known._entries, "it is remembered"
    shown = repr(vars(gate)) + repr(vars(gate._known)) + repr(vars(gate._callers)) + repr(app.access)
    assert key.rpartition("_")[2] not in shown
