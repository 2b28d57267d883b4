"""Tokens of an identity provider: which are taken, and every way in which one can be false."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from models.access.keys import Scope
from serving.access.callers import Unauthenticated
from serving.access.settings import OidcSettings
from serving.access.signing_keys import KeysUnavailable, SigningKeys
from serving.access.tokens import Tokens, scopes_in
from serving.app import create_app
from tests.serving.access.conftest import Keys, bearer, settings_of

RSA, OTHER_RSA = (rsa.generate_private_key(65_537, 2_048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP256R1())
OIDC = OidcSettings("https://id.example.org/", "ballast", "https://id.example.org/keys")
JWKS = {
    "keys": [
        RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True) | {"kid": "rsa", "use": "sig"},
        ECAlgorithm.to_jwk(EC.public_key(), as_dict=True) | {"kid": "ec", "alg": "ES256"},
        RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True) | {"kid": "for secrecy", "use": "enc"},
        {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(b"s" * 32).decode()},
        {"kty": "RSA", "kid": "broken", "n": "", "e": "AQAB"},
    ]
}
PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)  # what a mix-up of algorithms would take for a shared secret
TOKENS = Tokens(OIDC, SigningKeys(lambda: JWKS))


def claims(**changes: Any) -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    usual = {"iss": OIDC.issuer, "aud": "ballast", "sub": "ann@example.org", "iat": now, "exp": now + 600,
             "scope": "openid ballast:read ballast:simulate"}  # fmt: skip
    return {name: value for name, value in (usual | changes).items() if value is not None}


def signed(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers={"kid": kid} if kid else None)


def unsigned(header: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header, claims()))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def hmac_of_the_public_key() -> str:
    """PyJWT refuses to make one: by hand, as somebody who means harm would."""
    head = unsigned({"alg": "HS256", "typ": "JWT", "kid": "rsa"})[:-1]
    made = hmac.new(PEM, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec")])
def test_a_good_token(key: Any, algorithm: str, kid: str) -> None:
    caller = TOKENS.caller(signed(key, algorithm, kid))
    assert (caller.name, caller.scopes) == ("token:ann@example.org", {Scope.READ, Scope.SIMULATE})
    assert caller.ends_at is not None
    assert 600 <= (caller.ends_at - datetime.now(UTC)).total_seconds() <= 631


FALSE: dict[str, Callable[[], str]] = {
    "expired": lambda: signed(exp=1),
    "not yet": lambda: signed(nbf=4_000_000_000),
    "without an end": lambda: signed(exp=None),
    "without a subject": lambda: signed(sub=None),
    "of another issuer": lambda: signed(iss="https://id.example.org"),
    "without an issuer": lambda: signed(iss=None),
    "for another audience": lambda: signed(aud="other"),
    "without an audience": lambda: signed(aud=None),
    "signed by another": lambda: signed(OTHER_RSA),
    "of a key that is not there": lambda: signed(kid="unknown"),
    "without the name of a key": lambda: signed(kid=None),
    "unsigned": lambda: unsigned({"alg": "none", "kid": "rsa"}),
    "unsigned in capitals": lambda: unsigned({"alg": "NONE", "kid": "rsa"}),
    "without an algorithm": lambda: unsigned({"kid": "rsa"}),
    "signed with the public key as a secret": hmac_of_the_public_key,
    "signed with a shared secret": lambda: signed(b"s" * 32, "HS256", "shared"),
    "of a good algorithm that is not allowed": lambda: signed(RSA, "RS512"),
    "of an algorithm that the key is not for": lambda: signed(RSA, "RS256", "ec"),
    "of a key that is not for signatures": lambda: signed(OTHER_RSA, "RS256", "for secrecy"),
    "of a key that is broken": lambda: signed(RSA, "RS256", "broken"),
    "with what nobody understands": lambda: jwt.encode(claims(), RSA, "RS256", headers={"kid": "rsa", "crit": ["x"]}),
    "altered": lambda: signed()[:-8] + "AAAAAAAA",
    "empty": lambda: "",
    "two dots": lambda: "..",
    "with an end beyond all time": lambda: signed(exp=10**18),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_token(name: str) -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.caller(FALSE[name]())


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80) | st.lists(st.binary(max_size=30), min_size=3, max_size=3).map(
    lambda parts: ".".join(base64.urlsafe_b64encode(part).decode() for part in parts)
))  # fmt: skip
def test_whatever_is_sent_as_a_token(text: str) -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.caller(text)


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner), max_leaves=5))
def test_whatever_a_provider_writes_about_scopes(claim: Any) -> None:
    assert scopes_in(claim) <= set(Scope)


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        ("ballast:read", {Scope.READ}),
        (["ballast:operate", "read"], {Scope.OPERATE}),
        ("read", set()),
        ("xballast:read ballast:readx", set()),
        (None, set()),
        ({"ballast:read": 1}, set()),
    ],
)
def test_scopes_of_a_claim(claim: Any, found: set[Scope]) -> None:
    assert scopes_in(claim) == found


def test_what_a_subject_may_write_into_a_log() -> None:
    name = TOKENS.caller(signed(sub="a\nforged line\x1b[31m" + "b" * 500)).name
    assert name.isprintable()
    assert "\n" not in name
    assert len(name) <= 110


def test_algorithms_with_a_shared_secret_cannot_be_set() -> None:
    with pytest.raises(ValueError, match="public key"):
        Tokens(OidcSettings("i", "a", "https://x", ("HS256",)), SigningKeys(lambda: JWKS))


def test_while_no_keys_can_be_fetched_nothing_is_believed() -> None:
    def away() -> dict[str, Any]:
        raise OSError("refused")

    with pytest.raises(KeysUnavailable):
        Tokens(OIDC, SigningKeys(away)).caller(signed())


def test_a_token_opens_what_it_says(keys: Keys) -> None:
    app = create_app(settings_of(keys.url, oidc=OIDC))
    app.state.gate._tokens = TOKENS
    with TestClient(app) as client:
        path = "/v1/risk/scenarios"
        assert client.get(path, headers=bearer(signed())).status_code == 200
        assert client.get(path, headers=bearer(signed(scope="ballast:simulate"))).status_code == 403
        assert client.get(path, headers=bearer(FALSE["unsigned"]())).status_code == 401
        assert client.get(path, headers=bearer(keys.make(Scope.READ))).status_code == 200
