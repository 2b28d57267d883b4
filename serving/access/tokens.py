"""Bearer tokens of an identity provider (OpenID Connect): whose, for whom, until when, and what they allow.

PyJWT checks signature, issuer, audience and times. What is checked here is what it leaves to its caller: the algorithm
is one of ours before anything else is believed, and the key is of the kind that the algorithm needs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import jwt

from models.access.keys import Scope
from serving.access.callers import Caller, Unauthenticated
from serving.access.settings import ALGORITHMS, OidcSettings
from serving.access.signing_keys import SigningKeys

_LEEWAY_S = 30  # by which the clocks of two machines may differ
_SAYS = "ballast:"  # before the name of a scope: tokens are often for several services
_KIND = {"R": "RSA", "P": "RSA", "E": "EC"}
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9@._|:/+-]")
_LONGEST = 100


class Tokens:
    """Blocking while keys are fetched: call it from a thread."""

    def __init__(self, settings: OidcSettings, keys: SigningKeys) -> None:
        if not set(settings.algorithms) <= set(ALGORITHMS):
            raise ValueError("only signatures that a public key checks")
        self._settings, self._keys = settings, keys

    def caller(self, token: str) -> Caller:
        """Whose token it is. Raises Unauthenticated, or KeysUnavailable while nothing can be checked."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if algorithm not in self._settings.algorithms or not isinstance(key_id, str) or "crit" in header:
                raise Unauthenticated(True)
            key = self._keys.find(key_id)
            if key is None or not _fits(key, algorithm):
                raise Unauthenticated(True)
            claims: dict[str, Any] = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm),
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            ends_at = datetime.fromtimestamp(int(claims["exp"]) + _LEEWAY_S, UTC)
        # What a stranger can write into a token, libraries meet with more than their own errors.
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError) as error:
            raise Unauthenticated(True) from error
        subject = _NOT_PLAIN.sub("_", str(claims["sub"]))[:_LONGEST]
        return Caller(f"token:{subject}", scopes_in(claims.get(self._settings.scope_claim)), None, ends_at)


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    """Whether a key of the provider is for this algorithm and for signatures."""
    kind = "OKP" if algorithm == "EdDSA" else _KIND[algorithm[0]]
    return key.get("kty") == kind and key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm


def scopes_in(claim: object) -> frozenset[Scope]:
    """Scopes of ours among the words or the list of a claim; other words are for other services."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(scope for scope in Scope if f"{_SAYS}{scope.value}" in words)
