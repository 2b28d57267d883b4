"""A key in the transit engine of HashiCorp Vault or OpenBao. The key never leaves the service.

Transit signs with the newest version of a key unless it is told otherwise, so one rotation would silently change the
account that signs. The version is therefore always named, and compared in every answer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hvac
import requests
from hvac import exceptions as transit

from keeper.signing.envelope import HashSigner
from keeper.signing.interface import SignerUnavailable, SigningError, SigningRefused
from keeper.signing.service import Patience, account_of, safe_url, stays_here

# UnexpectedError is every status without a name of its own: 412 (a replica behind its leader), 472, 473, 504.
_TRANSIENT_ERRORS = (
    transit.VaultDown, transit.RateLimitExceeded, transit.BadGateway, transit.InternalServerError,
    transit.UnexpectedError, requests.exceptions.ConnectionError, requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError,
)  # fmt: skip
_REASONS: dict[type[Exception], str] = {
    transit.VaultDown: "sealed, or down for maintenance",
    transit.RateLimitExceeded: "too many requests",
    transit.BadGateway: "bad gateway",
    transit.InternalServerError: "internal error",
    transit.Forbidden: "permission denied; the token has expired, or its policy lacks this key",
    transit.Unauthorized: "unauthorized",
    transit.InvalidPath: "no such mount or key",
    transit.InvalidRequest: "invalid request; is there such a key, of this version, of type ed25519?",
    transit.VaultNotInitialized: "not initialized: not the server that holds the key",
}


@dataclass(frozen=True, slots=True)
class TransitKey:
    """Where the key is, and which of its versions is the keeper's account. `namespace`: None without namespaces."""

    url: str
    name: str
    version: int = 1
    mount: str = "transit"
    namespace: str | None = None


class VaultTransitSigner(HashSigner):
    """Signs with one version of a transit key, which must belong to `address`.

    Parameters
    ----------
    token : called for the token at the start and whenever it is refused, so that an agent may replace it in its file.
    passphrase : of the one network it signs for; None: the one that a policy names.

    Raises
    ------
    SigningRefused
        If the address of the server is not https, or holds credentials.
    """

    def __init__(
        self,
        address: str,
        key: TransitKey,
        token: Callable[[], str],
        patience: Patience | None = None,
        passphrase: str | None = None,
    ) -> None:
        super().__init__(address, passphrase)
        self._key = key
        self._token = token
        self._patience = patience or Patience()
        self._client = hvac.Client(
            url=safe_url("vault", key.url),
            token=token(),
            namespace=key.namespace,
            timeout=(self._patience.connect_timeout_s, self._patience.read_timeout_s),
            allow_redirects=False,  # the token would follow to wherever it points
        )
        if stays_here(key.url):
            self._client.session.trust_env = False  # a proxy of the environment would see the token

    def _held_address(self) -> str:
        # A token that is renewed at every start outlives them all; one that cannot be renewed may still be good.
        with suppress(transit.VaultError, requests.exceptions.RequestException):
            self._client.auth.token.renew_self()
        data = self._ask(
            lambda: self._client.secrets.transit.read_key(self._key.name, mount_point=self._key.mount), "keys"
        )
        if data.get("type") != "ed25519" or data.get("derived"):
            raise SigningRefused(f"vault: the key is of type {data.get('type')}; it must be ed25519, not derived")
        if data.get("exportable") or data.get("allow_plaintext_backup"):
            raise SigningRefused("vault: the key can be exported; make one with exportable=false")
        version = dict(data["keys"]).get(str(self._key.version))
        if not isinstance(version, dict):
            raise SigningRefused(f"vault: the key has no version {self._key.version}")
        return account_of(_decoded(version.get("public_key")))

    def _sign_hash(self, tx_hash: bytes) -> bytes:
        data = self._ask(
            lambda: self._client.secrets.transit.sign_data(
                self._key.name,
                hash_input=base64.b64encode(tx_hash).decode(),
                key_version=self._key.version,
                mount_point=self._key.mount,
            ),
            "signature",
        )
        scheme, _, rest = str(data["signature"]).partition(":")
        version, _, signature = rest.partition(":")
        told = data.get("key_version", self._key.version)
        if scheme != "vault" or version != f"v{self._key.version}" or told != self._key.version:
            raise SigningRefused(f"vault: version {self._key.version} was asked, another one signed")
        return _decoded(signature)

    def _ask(self, call: Callable[[], Any], wanted: str) -> dict[str, Any]:
        """`data` of the answer, which holds `wanted`. A refused token is taken anew or renewed, once."""

        def once() -> dict[str, Any]:
            answer = call()
            data = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(data, dict) or not data.get(wanted):
                raise SignerUnavailable(f"vault: the answer holds no {wanted}; a redirect or a proxy?")
            return data

        def renewing() -> dict[str, Any]:
            try:
                return once()
            except transit.Forbidden:
                pass
            self._renew_token()
            return once()

        return self._patience.ask(renewing, _meaning)

    def _renew_token(self) -> None:
        """Take the token anew from where it came from; the same one again is renewed."""
        fresh = self._token()
        if fresh != self._client.token:
            self._client.token = fresh
            return
        try:
            self._client.auth.token.renew_self()
            return
        except (transit.Forbidden, transit.InvalidRequest):
            pass
        raise SigningRefused(f"vault: {_REASONS[transit.Forbidden]}")


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error:
        pass
    raise SigningRefused("vault: the answer is not base64")


def _meaning(error: Exception) -> SigningError:
    """What an error of the client means, in words of our own: theirs repeat the URL and what the server wrote."""
    kind = type(error)
    if isinstance(error, _TRANSIENT_ERRORS):
        return SignerUnavailable(f"vault: {_REASONS.get(kind, f'no usable answer ({kind.__name__})')}")
    return SigningRefused(f"vault: {_REASONS.get(kind, kind.__name__)}")
