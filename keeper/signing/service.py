"""What key services share: how long they are waited for, what an address of theirs must look like.

An error of a client library never leaves as it is, and is not chained: its text may repeat a header or a URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from stellar_sdk import StrKey

from keeper.signing.interface import SignerUnavailable, SigningError, SigningRefused

Answer = TypeVar("Answer")

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Patience:
    """Bounds of one question. At worst 3 x (2 + 4) s and 0.9 s of pauses: a signed envelope has 30 s left."""

    attempts: int = 3
    connect_timeout_s: float = 2.0
    read_timeout_s: float = 4.0
    pause_s: float = 0.3  # doubled after each attempt

    def ask(self, call: Callable[[], Answer], meaning: Callable[[Exception], SigningError]) -> Answer:
        """Result of `call`; what it raises is translated by `meaning`, and SignerUnavailable is tried again."""
        for attempt in range(1, self.attempts + 1):
            failure: SigningError
            try:
                return call()
            except SigningError as error:
                failure = error
            except Exception as error:  # noqa: BLE001  # whatever a client library raises must not leave: see above
                failure = meaning(error)
            if attempt == self.attempts or not isinstance(failure, SignerUnavailable):
                break
            time.sleep(self.pause_s * 2 ** (attempt - 1))
        # Outside `except` it carries no context, and without its frames none of their variables: answers, tokens.
        raise failure.with_traceback(None)


def safe_url(name: str, url: str) -> str:
    """`url` if credentials can neither stand in it nor travel in the clear. Raises SigningRefused, without the URL."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query:
        raise SigningRefused(f"{name}: the address must not hold credentials; give them in the environment")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SigningRefused(f"{name}: the address must begin with https:// (http:// only on this machine)")
    return url


def stays_here(url: str) -> bool:
    """Whether `url`, which passed `safe_url`, is of this machine and in the clear: no proxy may be asked for it."""
    return urlsplit(url).scheme == "http"


def account_of(raw_key: bytes) -> str:
    """Stellar address of a raw Ed25519 public key. Raises SigningRefused unless it has 32 bytes."""
    if len(raw_key) != 32:
        raise SigningRefused(f"signer: a public key of {len(raw_key)} bytes is not Ed25519")
    return StrKey.encode_ed25519_public_key(raw_key)
