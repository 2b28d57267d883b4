"""Settings of access: what a process starts with, and what it refuses to start with."""

from __future__ import annotations

import pytest

from models.access.keys import Scope
from serving.access.settings import AccessSettings, OidcSettings, load_access_settings
from serving.settings import ServingSettingsError, load_serving_settings

P = "BALLAST_SERVING_"
OIDC = {f"{P}OIDC_ISSUER": "i", f"{P}OIDC_AUDIENCE": "a", f"{P}OIDC_JWKS_URL": "https://id.example.org/keys"}


def test_nothing_is_open_that_was_not_asked_for() -> None:
    assert load_access_settings({}) == AccessSettings(
        public=frozenset(), public_per_minute=600, key_per_minute=6_000, oidc=None, cors_origins=(), tls=False,
    )  # fmt: skip


def test_what_is_set() -> None:
    found = load_access_settings({
        f"{P}PUBLIC_READ": "on", f"{P}PUBLIC_PER_MINUTE": "0", f"{P}KEY_PER_MINUTE": "9", f"{P}TLS": "True",
        f"{P}CORS_ORIGINS": "https://a.example.org, http://localhost:5173", f"{P}MOST_BODY_BYTES": "2048",
        f"{P}ANSWER_WITHIN_S": "5", f"{P}ACCESS_ROLE": "", f"{P}OIDC_ALGORITHMS": "ES256, EdDSA", **OIDC,
    })  # fmt: skip
    assert found == AccessSettings(
        frozenset({Scope.READ}), 0, 9,
        OidcSettings("i", "a", "https://id.example.org/keys", ("ES256", "EdDSA")),
        ("https://a.example.org", "http://localhost:5173"), True, 2_048, 5.0, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_READ", "perhaps"),
        ("TLS", "2"),
        ("PUBLIC_PER_MINUTE", "-1"),
        ("KEY_PER_MINUTE", "many"),
        ("MOST_BODY_BYTES", "1"),
        ("ANSWER_WITHIN_S", "0"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://*.example.org"),
        ("CORS_ORIGINS", "https://a.example.org/"),
        ("CORS_ORIGINS", "null"),
        ("OIDC_ALGORITHMS", "none"),
        ("OIDC_ALGORITHMS", "RS256,HS256"),
        ("OIDC_ISSUER", ""),
        ("OIDC_AUDIENCE", ""),
        ("OIDC_JWKS_URL", "http://id.example.org/keys"),
        ("OIDC_JWKS_URL", "file:///etc/passwd"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    env = {f"{P}DATABASE_URL": "postgresql://u@h/d", **(OIDC if name.startswith("OIDC") else {}), P + name: value}
    with pytest.raises(ServingSettingsError, match=f"^{P}{name}"):
        load_serving_settings(env)
