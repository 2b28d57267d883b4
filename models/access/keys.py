"""API keys: what one looks like, what is kept of it, and from when to when it opens something.

A key is `ballast_<id>_<secret>`: the id is public and names it in lists and logs, the secret is 256 random bits. Only
the SHA-256 of the whole key is kept. A slow hash protects what people choose; nobody guesses 256 random bits, and a
slow hash would be paid at every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ID_BYTES, SECRET_BYTES = 6, 32
_PREFIX = "ballast"
_ID = f"[0-9a-f]{{{2 * ID_BYTES}}}"
_SECRET = f"[0-9a-f]{{{2 * SECRET_BYTES}}}"
_KEY = re.compile(f"{_PREFIX}_({_ID})_{_SECRET}")
# Also cut short or written in capitals: what is left of a secret is one, too.
_LOOKS_LIKE_ONE = re.compile(rf"{_PREFIX}_({_ID})_[0-9a-z]+", re.IGNORECASE)
_LOOKS_LIKE_A_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")  # a JSON Web Token begins with `{"` in base64


class Scope(StrEnum):
    """What a caller may do. None includes another."""

    READ = "read"  # ask for what is stored
    SIMULATE = "simulate"  # have a run computed or queued
    OPERATE = "operate"  # change what the system does


def written(key_id: bytes, secret: bytes) -> str:
    """The key made of `ID_BYTES` and `SECRET_BYTES` random bytes. Raises ValueError for other lengths."""
    if (len(key_id), len(secret)) != (ID_BYTES, SECRET_BYTES):
        raise ValueError(f"an id has {ID_BYTES} bytes and a secret {SECRET_BYTES}")
    return f"{_PREFIX}_{key_id.hex()}_{secret.hex()}"


def id_of(key: str) -> str | None:
    """The public id in a key; None if this is none."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def digest_of(key: str) -> bytes:
    """What is kept of a key: 32 bytes from which it cannot be found."""
    return hashlib.sha256(key.encode()).digest()


def is_it(key: str, digest: bytes) -> bool:
    """Whether a digest is of this key, in a time that says nothing about how much of it was right."""
    return hmac.compare_digest(digest_of(key), digest)


def redacted(text: str) -> str:
    """The text without tokens and without the secret of any key; ids of keys stay, so that one can be revoked."""
    return _LOOKS_LIKE_A_TOKEN.sub("[redacted]", _LOOKS_LIKE_ONE.sub(rf"{_PREFIX}_\1_[redacted]", text))


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of one key. `ends_at`: its expiry, or the earlier end that a rotation or a revocation set;
    `per_minute`: requests it may make, None = as many as the server gives a key."""

    id: str
    name: str
    scopes: frozenset[Scope]
    digest: bytes
    ends_at: datetime
    per_minute: int | None = None
