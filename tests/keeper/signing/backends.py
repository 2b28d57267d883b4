"""The three places a key can be in, each with the ways in which a test can break it.

KMS is boto3 against ministack, a process on loopback; Vault is hvac against a stub of the protocol. Between client and
service stands a relay of ours that answers for it or changes what it said.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from stellar_sdk import Keypair, StrKey

from keeper.signing.interface import Signer
from keeper.signing.kms import KmsSigner
from keeper.signing.local_dev import LocalDevSigner
from keeper.signing.service import Patience
from keeper.signing.vault_transit import TransitKey, VaultTransitSigner
from tests.keeper.signing.envelopes import PASSPHRASE
from tests.keeper.signing.transit_stub import Transit
from tests.orchestration.sources.loopback import Asked, Canned, Loopback

REGION = "eu-west-1"
QUICK = Patience(attempts=3, connect_timeout_s=2.0, read_timeout_s=5.0, pause_s=0.001)
HASTY = Patience(attempts=2, connect_timeout_s=0.3, read_timeout_s=0.3, pause_s=0.001)
TOKEN = "hvs.planted-token-0123456789"
_START_S = 30.0

Spoil = Callable[[bytes], bytes]
Trouble = Callable[[Asked], Canned | None]  # None: the service answers itself


class Backend(ABC):
    """`spoil` changes every signature on its way back."""

    kind: str
    address: str
    spoil: Spoil | None = None

    @abstractmethod
    def signer(
        self, address: str | None = None, patience: Patience = QUICK, passphrase: str | None = PASSPHRASE
    ) -> Signer:
        """A signer as a fresh process makes it. `address`: what it takes the key to belong to."""


class LocalBackend(Backend):
    kind = "local"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keeper.seed"
        self.address = LocalDevSigner(self.path).address

    def signer(
        self, address: str | None = None, patience: Patience = QUICK, passphrase: str | None = PASSPHRASE
    ) -> Signer:
        backend = self

        class Spoiled(LocalDevSigner):
            def _sign_hash(self, tx_hash: bytes) -> bytes:
                signature = super()._sign_hash(tx_hash)
                return backend.spoil(signature) if backend.spoil else signature

        return Spoiled(self.path, address, passphrase=passphrase)


class ServiceBackend(Backend):
    """A backend behind a relay. `trouble` is asked first; `signatures` counts the questions for one."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        self.relay = Loopback(self._relayed)

    @property
    def signatures(self) -> int:
        return sum(self.asks_for_signature(asked) for asked in self.relay.asked)

    def close(self) -> None:
        self.relay.close()

    def fail_signatures(self, canned: Canned, times: int = 1_000) -> None:
        """Answer the next `times` questions for a signature like this."""
        left = [times]

        def trouble(asked: Asked) -> Canned | None:
            if left[0] == 0 or not self.asks_for_signature(asked):
                return None
            left[0] -= 1
            return canned

        self.trouble = trouble

    @abstractmethod
    def asks_for_signature(self, asked: Asked) -> bool: ...

    @abstractmethod
    def answer(self, asked: Asked) -> Canned: ...

    @abstractmethod
    def spoiled(self, answer: dict[str, Any], spoil: Spoil) -> dict[str, Any]:
        """The answer with its signature changed."""

    def _relayed(self, asked: Asked) -> Canned:
        canned = self.trouble(asked) if self.trouble else None
        if canned is not None:
            return canned
        answer = self.answer(asked)
        if self.spoil is None or not self.asks_for_signature(asked):
            return answer
        return Canned(self.spoiled(json.loads(answer.raw), self.spoil), answer.status, answer.headers)


class KmsBackend(ServiceBackend):
    """One key in a running KMS at `url`. Credentials come from the environment, as they do for a keeper."""

    kind = "kms"

    def __init__(self, url: str, spec: str = "ECC_NIST_EDWARDS25519") -> None:
        super().__init__()
        self._url = url
        self.admin: Any = boto3.client("kms", region_name=REGION, endpoint_url=url, config=Config(proxies={}))
        self.key_id = self.admin.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        der = self.admin.get_public_key(KeyId=self.key_id)["PublicKey"]
        self.address = StrKey.encode_ed25519_public_key(der[-32:])

    def close(self) -> None:
        super().close()
        self.admin.close()

    def signer(
        self, address: str | None = None, patience: Patience = QUICK, passphrase: str | None = PASSPHRASE
    ) -> Signer:
        return KmsSigner(address or self.address, self.key_id, REGION, self.relay.url, patience, passphrase)

    def asks_for_signature(self, asked: Asked) -> bool:
        return asked.headers.get("x-amz-target") == "TrentService.Sign"

    def answer(self, asked: Asked) -> Canned:
        headers = {k: v for k, v in asked.headers.items() if k not in ("host", "content-length")}
        request = urllib.request.Request(self._url + asked.path, json.dumps(asked.body).encode(), headers)
        try:
            with _DIRECT.open(request, timeout=10) as answer:
                return Canned(answer.read(), answer.status, {"content-type": answer.headers["content-type"]})
        except urllib.error.HTTPError as error:
            with error:
                return Canned(error.read(), error.code, {"content-type": error.headers["content-type"]})

    def spoiled(self, answer: dict[str, Any], spoil: Spoil) -> dict[str, Any]:
        return answer | {"Signature": base64.b64encode(spoil(base64.b64decode(answer["Signature"]))).decode()}


class VaultBackend(ServiceBackend):
    """A transit key. `token`: what the token's file holds now."""

    kind = "vault"

    def __init__(self) -> None:
        super().__init__()
        self.token = TOKEN
        self.transit = Transit(tokens={TOKEN})
        self.address = self.transit.versions[0].public_key

    def signer(
        self, address: str | None = None, patience: Patience = QUICK, passphrase: str | None = PASSPHRASE
    ) -> Signer:
        return self.signer_of_version(1, address, patience, passphrase)

    def signer_of_version(
        self, version: int, address: str | None = None, patience: Patience = QUICK, passphrase: str | None = PASSPHRASE
    ) -> VaultTransitSigner:
        key = TransitKey(self.relay.url, self.transit.name, version)
        return VaultTransitSigner(address or self.address, key, lambda: self.token, patience, passphrase)

    def asks_for_signature(self, asked: Asked) -> bool:
        return "/sign/" in asked.path

    def answer(self, asked: Asked) -> Canned:
        return self.transit.answer(asked)

    def spoiled(self, answer: dict[str, Any], spoil: Spoil) -> dict[str, Any]:
        head, _, text = answer["data"]["signature"].rpartition(":")
        signature = base64.b64encode(spoil(base64.b64decode(text))).decode()
        return {"data": answer["data"] | {"signature": f"{head}:{signature}"}}


def another_key(message: bytes) -> bytes:
    return Keypair.from_raw_ed25519_seed(bytes([3]) * 32).sign(message)


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def ministack() -> Iterator[str]:
    """A KMS of our own on a free port of loopback; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "kms", "LOG_LEVEL": "ERROR",
        "DOCKER_HOST": "unix:///nonexistent",  # it would look for one
    }  # fmt: skip
    argv = [sys.executable, "-m", "ministack"]
    process = subprocess.Popen(
        argv,
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.communicate()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with _DIRECT.open(f"{url}/_ministack/health", timeout=2):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                raise RuntimeError(f"ministack does not start: {process.communicate()[1].decode()[-500:]}") from None
            time.sleep(0.05)
