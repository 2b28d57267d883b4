"""A key in a file, for the devnet and for tests. Refuses the public network and a production environment.

The seed is never logged or shown.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from stellar_sdk import Keypair
from stellar_sdk.exceptions import Ed25519SecretSeedInvalidError

from keeper.networks import PUBLIC_PASSPHRASE
from keeper.signing.envelope import HashSigner
from keeper.signing.interface import SignedEnvelope, SigningPolicy, SigningRefused


class LocalDevSigner(HashSigner):
    """Signs with the key in `path`; the file is made once, with mode 0600.

    Parameters
    ----------
    address : the account the key must belong to; None: whatever the file holds.
    production : whether this is a production environment.
    passphrase : of the one network it signs for; None: any but the public one.

    Raises
    ------
    SigningRefused
        In production, or if the file is readable by others or holds no seed.
    """

    def __init__(
        self, path: Path, address: str | None = None, production: bool = False, passphrase: str | None = None
    ) -> None:
        if production:
            raise SigningRefused("local_dev: a key in a file signs nothing in production; use a key service")
        self._keypair = _load_or_create(path)
        super().__init__(address or self._keypair.public_key, passphrase)

    def sign_envelope(self, unsigned_xdr: str, policy: SigningPolicy) -> SignedEnvelope:
        if policy.passphrase == PUBLIC_PASSPHRASE:
            raise SigningRefused("local_dev: a key in a file never signs for the public network; use a key service")
        return super().sign_envelope(unsigned_xdr, policy)

    def _held_address(self) -> str:
        return self._keypair.public_key

    def _sign_hash(self, tx_hash: bytes) -> bytes:
        return self._keypair.sign(tx_hash)


def _load_or_create(path: Path) -> Keypair:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path)
    if path.stat().st_mode & 0o077:
        raise SigningRefused(f"local_dev: {path} is readable by others; chmod 600 it")
    try:
        return Keypair.from_secret(path.read_text(encoding="ascii").strip())
    except (Ed25519SecretSeedInvalidError, UnicodeDecodeError):
        raise SigningRefused(f"local_dev: {path} holds no secret seed; remove it and a new key is made") from None


def _create(path: Path) -> None:
    """Write a fresh key in full and then give it its name: a crash leaves no half key, and of two processes that start
    together one wins and both use its key."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(Keypair.random().secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
