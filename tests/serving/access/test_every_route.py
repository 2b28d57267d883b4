"""Every route of the application, found by looking, asks for what it says that it needs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from models.access.keys import Scope, written
from serving.access.scopes import declared, needs, refuse_undeclared
from serving.app import create_app
from serving.settings import ServingSettings
from tests.serving.access.conftest import Keys, bearer

AWAY = ServingSettings("postgresql+psycopg2://nobody@127.0.0.1:1/none")
DECLARED = list(declared(create_app(AWAY)))
GUARDED = [
    (method, route.path, each.scope)
    for route in DECLARED
    for each in route.needed
    if each.scope is not None
    for method in sorted({*route.methods, *({"HEAD"} if "GET" in route.methods else set())})
]
OPEN = {route.path for route in DECLARED if all(each.scope is None for each in route.needed)}
STRANGERS = {
    "no such id": written(bytes(6), bytes(32)),
    "no key": "ballast_",
    "a token where none are taken": "eyJhbGciOiJub25lIn0.e30.",
    "empty": "",
    "not ASCII": "ballast_é",
    "endless": "a" * 9_000,
}


def _address(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "x", path)


@pytest.fixture(scope="module")
def held(keys: Keys) -> dict[str, str]:
    """Keys by what they are: one of each scope alone, and of all scopes one that ended, of each way to end."""
    found = {scope.value: keys.make(scope) for scope in Scope}
    found |= {name: keys.make(*Scope, age_days=age) for name, age in {"revoked": 0.0, "expired": 2.0}.items()}
    keys.revoke(found["revoked"])
    good = keys.make(*Scope)
    found["wrong secret"] = good[:-1] + ("0" if good[-1] != "0" else "1")
    return found


def test_what_is_open_and_what_computes() -> None:
    assert sorted(OPEN) == ["/", "/docs", "/health", "/live", "/openapi.json", "/page/{name:path}", "/ready"]
    assert {(method, path) for method, path, scope in GUARDED if scope is not Scope.READ} == {
        ("POST", f"{prefix}{path}") for prefix in ("", "/v1") for path in ("/backtest/run", "/risk/simulate")
    }
    assert {scope for method, _, scope in GUARDED if method == "POST"} == {Scope.SIMULATE}


@pytest.mark.parametrize(("method", "path", "needed"), GUARDED)
def test_each_route_demands_its_scope(
    strict: TestClient, held: dict[str, str], method: str, path: str, needed: Scope
) -> None:
    def ask(headers: dict[str, Any]) -> Any:
        head = "HEAD" if path == "/v1/stream" else method  # its body never ends
        return strict.request(head, _address(path), headers=headers)

    without = ask({})
    assert without.status_code == 401
    assert without.headers["WWW-Authenticate"] == 'Bearer realm="ballast"'
    for name in ("revoked", "expired", "wrong secret"):
        refused = ask(bearer(held[name]))
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (
            401, 'Bearer realm="ballast", error="invalid_token"',
        ), name  # fmt: skip
    for other in set(Scope) - {needed}:
        refused = ask(bearer(held[other.value]))
        assert refused.status_code == 403
        assert f'error="insufficient_scope", scope="{needed.value}"' in refused.headers["WWW-Authenticate"]
    for headers in (bearer(held[needed.value]), {"X-API-Key": held[needed.value]}):
        assert ask(headers).status_code not in (401, 403, 404, 405, 429)


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_is_open_asks_nobody(strict: TestClient, path: str) -> None:
    address = path.replace("{name:path}", "js/app.js")
    assert strict.get(address).status_code in (200, 503)
    assert strict.get(address, headers=bearer("nonsense")).status_code in (200, 503)


@pytest.mark.parametrize("name", sorted(STRANGERS))
def test_what_is_no_key_is_refused_alike(strict: TestClient, held: dict[str, str], name: str) -> None:
    key = STRANGERS[name].encode()
    usual = strict.get("/v1/risk/current", headers=bearer(held["revoked"])).json()
    answer = strict.get("/v1/risk/current", headers={b"authorization": b"Bearer " + key})
    assert answer.status_code == 401
    assert answer.json() == usual | {"request_id": answer.json()["request_id"]}


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Basic YTpi"}, {"Authorization": "Bearer a", "X-API-Key": "b"}, {"X-API-Key": ""}]
)
def test_a_request_has_one_key(strict: TestClient, headers: dict[str, str]) -> None:
    assert strict.get("/v1/risk/current", headers=headers).status_code == 401


def test_a_key_in_an_address_is_not_read(strict: TestClient, held: dict[str, str]) -> None:
    answer = strict.get("/v1/risk/current", params={"api_key": held["read"], "access_token": held["read"]})
    assert answer.status_code == 401


@pytest.mark.parametrize("kind", ["router", "route", "mount"])
def test_a_route_that_says_nothing_keeps_the_api_from_starting(kind: str) -> None:
    app, router = FastAPI(openapi_url=None), APIRouter()
    router.add_api_route("/new", lambda: None)
    if kind == "router":
        app.include_router(router, prefix="/v1")
    else:
        app.router.routes.append(
            Route("/v1/new", lambda request: None) if kind == "route" else Mount("/v1/new", app=FastAPI())
        )
    with pytest.raises(RuntimeError, match="/v1/new"):
        refuse_undeclared(app)


def test_a_route_of_operators_can_be_declared() -> None:
    app, router = FastAPI(openapi_url=None), APIRouter(dependencies=[needs(Scope.OPERATE)])
    router.add_api_route("/pause", lambda: None, methods=["POST"])
    app.include_router(router, prefix="/v1")
    (route,) = declared(app)
    assert (route.path, route.methods, [each.scope for each in route.needed]) == (
        "/v1/pause", ("POST",), [Scope.OPERATE],
    )  # fmt: skip
