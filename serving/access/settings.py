"""Settings of who may ask what, how often and from where. The mapping comes from `serving.settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from models.access.keys import Scope

# Only signatures that a public key checks: with a shared secret, whoever can check a token can make one.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0", "")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_P = "BALLAST_SERVING_"


class AccessSettingsError(ValueError):
    """A setting is wrong; the message names the variable."""


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """Whose tokens are taken. `scope_claim`: claim that holds `ballast:read` and its like, as words or as a list."""

    issuer: str
    audience: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    scope_claim: str = "scope"


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """`public`: what needs no key. `public_per_minute`, `key_per_minute`: requests of an address and of a key, 0 =
    without a bound. `most_body_bytes`: of a request. `answer_within_s`: until an answer must have begun. `tls`: whether
    everybody comes by HTTPS, so that browsers may be told to insist on it. `role`: the one that reads keys and writes
    the audit log.

    The defaults are for one process on loopback that everybody on the machine may read; those of `load_access_settings`
    open nothing that is not asked for.
    """

    public: frozenset[Scope] = frozenset({Scope.READ})
    public_per_minute: int = 0
    key_per_minute: int = 0
    oidc: OidcSettings | None = None
    cors_origins: tuple[str, ...] = ()
    tls: bool = False
    most_body_bytes: int = 65_536
    answer_within_s: float = 60.0
    role: str | None = "ballast_gatekeeper"


def load_access_settings(env: Mapping[str, str]) -> AccessSettings:
    """Read the variables BALLAST_SERVING_* that are about access. Raises AccessSettingsError where one is wrong."""
    return AccessSettings(
        public=frozenset({Scope.READ}) if _switch(env, "PUBLIC_READ") else frozenset(),
        public_per_minute=_whole(env, "PUBLIC_PER_MINUTE", 600, 0, 1_000_000),
        key_per_minute=_whole(env, "KEY_PER_MINUTE", 6_000, 0, 1_000_000),
        oidc=_oidc(env),
        cors_origins=_origins(env),
        tls=_switch(env, "TLS"),
        most_body_bytes=_whole(env, "MOST_BODY_BYTES", 65_536, 1_024, 10_000_000),
        answer_within_s=float(_whole(env, "ANSWER_WITHIN_S", 60, 1, 600)),
        role=env.get(f"{_P}ACCESS_ROLE", "ballast_gatekeeper") or None,
    )


def _switch(env: Mapping[str, str], name: str) -> bool:
    said = env.get(_P + name, "").strip().lower()
    if said not in _ON + _OFF:
        raise AccessSettingsError(f"{_P}{name}: on or off, not {said!r}")
    return said in _ON


def _whole(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    said = env.get(_P + name) or str(default)
    if not re.fullmatch("[0-9]{1,8}", said) or not least <= int(said) <= most:
        raise AccessSettingsError(f"{_P}{name}: a whole number from {least} to {most}, not {said!r}")
    return int(said)


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    found = tuple(part.strip() for part in env.get(f"{_P}CORS_ORIGINS", "").split(",") if part.strip())
    for origin in found:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
            raise AccessSettingsError(
                f"{_P}CORS_ORIGINS: whole origins like https://app.example.org, separated by commas, not {origin!r}"
            )
    return found


def _oidc(env: Mapping[str, str]) -> OidcSettings | None:
    needed = ("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_JWKS_URL")
    issuer, audience, jwks_url = (env.get(_P + name, "").strip() for name in needed)
    if not (issuer or audience or jwks_url):
        return None
    for name, value in zip(needed, (issuer, audience, jwks_url), strict=True):
        if not value:
            raise AccessSettingsError(f"{_P}{name} is not set: tokens need all of {', '.join(_P + n for n in needed)}")
    parts = urlsplit(jwks_url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise AccessSettingsError(f"{_P}OIDC_JWKS_URL: only https, or http on this machine")
    algorithms = tuple((env.get(f"{_P}OIDC_ALGORITHMS") or "RS256,ES256").replace(" ", "").split(","))
    if wrong := [name for name in algorithms if name not in ALGORITHMS]:
        raise AccessSettingsError(f"{_P}OIDC_ALGORITHMS: {wrong[0]!r} is not one of {', '.join(ALGORITHMS)}")
    return OidcSettings(issuer, audience, jwks_url, algorithms, env.get(f"{_P}OIDC_SCOPE_CLAIM") or "scope")
