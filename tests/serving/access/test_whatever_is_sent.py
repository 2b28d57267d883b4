"""Addresses, parameters and headers that nobody meant: never a server error, and never a row more or less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.access.keys import Scope
from serving.access.scopes import declared
from serving.app import create_app
from tests.serving.conftest import add_score, set_clock, without_keys

APP_ROUTES = sorted({
    route.path
    for route in declared(create_app(without_keys("postgresql+psycopg2://nobody@127.0.0.1:1/none")))
    if "GET" in route.methods and any(each.scope is Scope.READ for each in route.needed) and route.path[:4] == "/v1/"
})  # fmt: skip
ATTACKS = (
    "' or 1=1 --", "'; drop table risk.scores; --", "\\'; select pg_sleep(9) --", "%27%20or%20%271", "{{7*7}}",
    "../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "\0", "%00", "a" * 5_000, "１", "ǅ\u202e",
    "${jndi:x}", "-1", "1e309", "NaN", "2026-01-01T00:00:00Z'", "\r\nX-Planted: 1", "BTC,ETH", "[]", "*", "_%",
)  # fmt: skip
WORDS = st.sampled_from(ATTACKS) | st.text(max_size=30)
NAMES = st.sampled_from(
    ["subject", "horizon_days", "method", "scope", "regime", "vault_id", "verdict", "state", "status", "from", "to",
     "limit", "cursor", "ids", "include"]
) | st.text(max_size=10)  # fmt: skip


@pytest.fixture
def client(serving_url: str, writer: Engine) -> Iterator[TestClient]:
    set_clock(writer)
    add_score(writer)
    with TestClient(create_app(without_keys(serving_url)), raise_server_exceptions=False) as made:
        yield made


def _scores(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("select count(*) from risk.scores")).scalar_one())


def _check(answer: Any) -> None:
    # There is a score, no measure and no table of features: that is said, and nothing else may be wrong.
    if answer.status_code >= 500:
        told = "database_unavailable" if answer.url.path.startswith("/v1/market/premium") else "no_measures"
        assert answer.json()["code"] in ("score_expired", told), (answer.url, answer.text)
    assert "X-Planted" not in answer.headers
    assert "root:" not in answer.text
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert not any(word in answer.text for word in ("psycopg", "SQLSTATE", "syntax error", "Traceback"))


def test_parameters_and_parts_of_paths(client: TestClient, writer: Engine) -> None:
    @settings(max_examples=150, deadline=None, database=None)
    @given(st.sampled_from(APP_ROUTES), WORDS, st.dictionaries(NAMES, WORDS, max_size=3))
    def each(path: str, part: str, query: dict[str, str]) -> None:
        filled = path.replace("{id}", quote(part, safe="")).replace("{hash}", quote(part, safe=""))
        pairs = "&".join(f"{quote(n, errors='replace')}={quote(v, errors='replace')}" for n, v in query.items())
        method = "HEAD" if path == "/v1/stream" else "GET"  # its body never ends
        _check(client.request(method, f"{filled}?{pairs}"))

    each()
    assert _scores(writer) == 1


def test_paths(client: TestClient) -> None:
    @settings(max_examples=60, deadline=None, database=None)
    @given(st.lists(WORDS, min_size=1, max_size=4))
    def each(parts: list[str]) -> None:
        # A whole address: the client takes a path that begins with two slashes for none.
        _check(client.get("http://testserver/" + "/".join(quote(part, safe="") for part in parts)))

    each()


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-request-id", "origin", "content-length", "cookie"])
def test_headers(client: TestClient, header: str) -> None:
    @settings(max_examples=25, deadline=None, database=None)
    @given(st.sampled_from([b"", b"Bearer "]), st.binary(max_size=40))
    def each(scheme: bytes, value: bytes) -> None:
        if header == "content-length" and value.isdigit():
            return  # then the client of the test speaks no HTTP any more
        _check(client.get("/v1/risk/current", headers=[(header.encode(), scheme + value)]))

    each()
