"""What browsers are told: about pages, about data, and about other origins."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.access.settings import AccessSettings
from serving.app import create_app
from serving.headers import page_policy
from serving.settings import ServingSettings

AWAY = "postgresql+psycopg2://nobody@127.0.0.1:1/none"
APP, OTHER = "https://app.example.org", "https://evil.example.org"


@cache
def api(**access: Any) -> TestClient:
    return TestClient(create_app(ServingSettings(AWAY, access=AccessSettings(**access))))


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/risk/scenarios", "/v1/risk/current", "/nowhere", "/live"])
def test_every_answer_has_them(path: str) -> None:
    headers = api().get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert "Server" not in headers
    assert len(headers.get_list("X-Content-Type-Options")) == 1


def test_https_is_insisted_on_only_where_it_is_set() -> None:
    assert api(tls=True).get("/live").headers["Strict-Transport-Security"] == "max-age=63072000"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_runs_what_this_server_sent_and_nothing_else(path: str) -> None:
    answer = api().get(path)
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    for name in ("base-uri", "form-action", "frame-ancestors"):
        assert policy[name] == "'none'"
    for kind in ("script", "style"):
        bodies = re.findall(f"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
        assert policy[f"{kind}-src"].split() == ["'self'", *(f"'sha256-{found}'" for found in hashes)]
    assert not re.search(r"<[^>]+\s(on\w+|style)=", answer.text), "would not run"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_a_policy_by_hand() -> None:
    digest = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="  # SHA-256 of "abc"
    assert f"script-src 'self' 'sha256-{digest}'; style-src 'self';" in page_policy("<script>abc</script>")


def test_no_other_origin_may_read_by_default() -> None:
    headers = api().get("/live", headers={"Origin": APP}).headers
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_listed_origins_may_read_and_others_not() -> None:
    client = api(cors_origins=(APP,))
    allowed, other = (client.get("/live", headers={"Origin": origin}).headers for origin in (APP, OTHER))
    assert allowed["Access-Control-Allow-Origin"] == APP
    assert "Retry-After" in allowed["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed
    assert "Access-Control-Allow-Origin" not in other


@pytest.mark.parametrize(("origin", "status"), [(APP, 200), (OTHER, 400)])
def test_a_browser_asks_first_and_needs_no_key_for_it(origin: str, status: int) -> None:
    client = api(cors_origins=(APP,), public=frozenset())
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    answer = client.options("/v1/risk/current", headers=asked)
    assert answer.status_code == status
    assert answer.headers.get("Access-Control-Allow-Origin") == (APP if origin == APP else None)
    assert answer.headers["X-Request-Id"]


def test_a_refusal_can_be_read_by_a_listed_origin() -> None:
    answer = api(cors_origins=(APP,), public=frozenset()).get("/v1/risk/current", headers={"Origin": APP})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, APP)
