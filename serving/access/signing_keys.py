"""The public keys of an identity provider, fetched once and kept: a provider that is away for a while stops nobody.

Blocking: call it from a thread. Several threads share one of these.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from typing import IO, Any

_log = logging.getLogger(__name__)
_FRESH_S = 600  # then keys are fetched anew, so that one that was withdrawn is forgotten
_KEPT_S = 86_400  # for so long an old set serves while the provider does not answer
_BETWEEN_S = 30  # fetches: names of keys that do not exist must not become a flood upon the provider
_TIMEOUT_S = 3
_MOST_BYTES = 262_144


class KeysUnavailable(RuntimeError):
    """There is no set of keys and none can be fetched."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the address in the settings and from no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def fetch(url: str) -> dict[str, Any]:
    """The document at an address. Raises OSError or ValueError when there is none, or it is no JSON object."""
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            body = answer.read(_MOST_BYTES + 1)
    except HTTPException as error:
        raise OSError(type(error).__name__) from error
    if len(body) > _MOST_BYTES:
        raise ValueError("it is too long")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


class SigningKeys:
    """`read`: the document behind the address; `clock`: seconds that do not go back."""

    def __init__(self, read: Callable[[], dict[str, Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._fetching = threading.Lock()
        self._keys: dict[str, dict[str, Any]] | None = None
        self._fetched_s = self._tried_s = float("-inf")

    def find(self, key_id: str) -> dict[str, Any] | None:
        """The key of a name (a JSON Web Key), None if the provider has none. Raises KeysUnavailable."""
        now_s = self._clock()
        if self._keys is None or key_id not in self._keys or now_s - self._fetched_s > _FRESH_S:
            with self._fetching:
                self._refresh(key_id, self._clock())
        if self._keys is None or self._clock() - self._fetched_s > _KEPT_S:
            raise KeysUnavailable("the keys of the identity provider cannot be fetched")
        return self._keys.get(key_id)

    def _refresh(self, key_id: str, now_s: float) -> None:
        is_wanted = self._keys is None or key_id not in self._keys or now_s - self._fetched_s > _FRESH_S
        if not is_wanted or now_s - self._tried_s < _BETWEEN_S:
            return
        self._tried_s = now_s
        try:
            listed = self._read().get("keys")
            keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
        except (OSError, ValueError, urllib.error.URLError) as error:
            _log.warning("keys of the identity provider: %s", type(error).__name__)
            return
        self._keys = {key["kid"]: key for key in keys if isinstance(key.get("kid"), str)}
        self._fetched_s = now_s
