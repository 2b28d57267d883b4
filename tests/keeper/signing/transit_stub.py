"""As much of Vault's transit engine as a signer meets: keys with versions, tokens with an end, a seal.

Written from the behaviour that the API documentation of Vault and OpenBao describes; no code of theirs.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from stellar_sdk import Keypair

from tests.orchestration.sources.loopback import Asked, Canned

JSON = {"content-type": "application/json"}


def refused(status: int, *errors: str) -> Canned:
    return Canned({"errors": list(errors)}, status, JSON)


@dataclass
class Transit:
    """One mount with one key. `tokens`: accepted ones; `renewable`: those that `renew-self` brings back to life."""

    name: str = "keeper"
    mount: str = "transit"
    namespace: str | None = None
    tokens: set[str] = field(default_factory=set)
    renewable: set[str] = field(default_factory=set)
    versions: list[Keypair] = field(default_factory=lambda: [Keypair.random()])
    oldest_that_signs: int = 1
    sealed: bool = False
    described: dict[str, Any] = field(default_factory=dict)  # what the description of the key says instead

    def rotate(self) -> None:
        self.versions.append(Keypair.random())

    def answer(self, asked: Asked) -> Canned:
        if self.sealed:
            return refused(503, "Vault is sealed")
        if asked.headers.get("x-vault-namespace") != self.namespace:
            return refused(403, "permission denied")
        token = asked.headers.get("x-vault-token", "")
        if asked.path == "/v1/auth/token/renew-self":
            return self._renew(token)
        if token not in self.tokens:
            return refused(403, "permission denied")
        if (asked.method, asked.path) == ("GET", f"/v1/{self.mount}/keys/{self.name}"):
            return self._described()
        if (asked.method, asked.path) == ("POST", f"/v1/{self.mount}/sign/{self.name}"):
            return self._signed(asked.body)
        return refused(400, "signing key not found") if "/sign/" in asked.path else refused(404)

    def _renew(self, token: str) -> Canned:
        if token not in self.renewable:
            return refused(403, "permission denied")
        self.tokens.add(token)
        return Canned({"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}, headers=JSON)

    def _described(self) -> Canned:
        keys = {
            str(n): {"public_key": base64.b64encode(key.raw_public_key()).decode(), "name": "ed25519"}
            for n, key in enumerate(self.versions, start=1)
        }
        data = {
            "type": "ed25519", "derived": False, "exportable": False, "allow_plaintext_backup": False,
            "latest_version": len(self.versions), "min_encryption_version": self.oldest_that_signs, "keys": keys,
        }  # fmt: skip
        return Canned({"data": data | self.described}, headers=JSON)

    def _signed(self, body: dict[str, Any]) -> Canned:
        version = int(body.get("key_version") or len(self.versions))
        if version < self.oldest_that_signs:
            return refused(400, "requested version for signing is less than the minimum encryption key version")
        if version > len(self.versions):
            return refused(400, "requested version for signing is higher than the latest key version")
        signature = self.versions[version - 1].sign(base64.b64decode(body["input"]))
        text = f"vault:v{version}:{base64.b64encode(signature).decode()}"
        return Canned({"data": {"signature": text, "key_version": version}}, headers=JSON)
